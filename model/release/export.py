"""The weights distribution: a model in int8, small enough to be shipped, with what that costs measured.

TARGET/setfill.json, tokenizer.json, weights-*.safetensors    as `model.checkpoint` writes them
TARGET/smoothing.safetensors                                   factors for CPUs that take rows in 7 bits
TARGET/README.md                                               the model card
TARGET/export.json                                             sizes and measured losses
TARGET/__init__.py                                             so that it is a package (weights/pyproject.toml)
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from model.api.types import Gap, ScoreRequest
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import refuse_foreign, save_checkpoint
from model.checkpoint.record import Checkpoint
from model.errors import CheckpointError
from model.evaluation.statistics import Estimate, clustered_mean
from model.network.linear import Precision
from model.release.model_card import CardFacts, model_card
from model.release.smoothing import measured_factors
from model.scratch import move_into_place, scratch_directory
from model.worker.engine import Engine

SHARD_BYTES = 45_000_000  # of tensors; a file stays under 50 MB
MOST_FILE_BYTES = 50_000_000
MOST_BYTES = 140_000_000

# What losses are measured on: lines of the standard library, which every Python has.
_FILES = ("argparse.py", "csv.py", "heapq.py", "queue.py", "shlex.py", "textwrap.py")
_FILE_CHARS, _GAPS_PER_FILE = 3000, 10


@dataclass(frozen=True)
class Exported:
    """What an export made. Losses are nats per token of gaps in Python's standard library, weights as float32."""

    bytes: int
    files: int
    gaps: int
    loss_before: float
    loss_after: float
    difference: Estimate  # after - before, with its 95 % interval by file


def export_model(
    source: Path, target: Path, runs: Sequence[Path] = (), evaluations: Sequence[Path] = (), note: str = ""
) -> Exported:
    """Write the model at `source` in int8 to `target`, whole or not at all.

    `runs` are the directories of its training runs, the first one first, and
    `evaluations` reports of `setfill eval`, for the model card, whose section on
    training ends with `note`. Raises CheckpointError and InputError.
    """
    target = target.absolute()
    refuse_foreign(target)
    checkpoint = replace(load_checkpoint(source), name=target.name)
    checkpoint = replace(checkpoint, smoothing=measured_factors(checkpoint))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_directory(target.parent) as scratch:
            built = scratch / target.name
            save_checkpoint(checkpoint, built, "int8", SHARD_BYTES)
            exported = _checked(checkpoint, built)
            (built / "export.json").write_text(json.dumps(asdict(exported), indent=2) + "\n", encoding="utf-8")
            facts = CardFacts.of(checkpoint, asdict(exported), runs, evaluations, note)
            (built / "README.md").write_text(model_card(facts), encoding="utf-8")
            (built / "__init__.py").write_text(
                '"""Weights of Setfill\'s default model; data only."""\n', encoding="utf-8"
            )
            move_into_place(built, target, scratch)
    except OSError as error:
        raise CheckpointError(f"cannot write {target} ({error}); free some space or choose another place") from error
    return exported


def _checked(checkpoint: Checkpoint, built: Path) -> Exported:
    """Measure the export, and raise CheckpointError if it is too large."""
    sizes = {path.name: path.stat().st_size for path in built.iterdir()}
    for name, size in sizes.items():
        if size > MOST_FILE_BYTES:
            raise CheckpointError(f"{name} would take {size / 1e6:.0f} MB: no file may take more than 50 MB")
    if sum(sizes.values()) > MOST_BYTES:
        total = f"{sum(sizes.values()) / 1e6:.0f} MB"
        raise CheckpointError(f"the model would take {total}, more than {MOST_BYTES // 1_000_000} MB: it is too large")
    before, clusters = losses(checkpoint)
    after, _ = losses(load_checkpoint(built))
    difference = clustered_mean([b - a for a, b in zip(before, after, strict=True)], clusters)
    mean_before, mean_after = sum(before) / len(before), sum(after) / len(after)
    return Exported(sum(sizes.values()), len(sizes), len(before), mean_before, mean_after, difference)


def losses(checkpoint: Checkpoint) -> tuple[list[float], list[str]]:
    """Return the loss of each gap in nats per token, as the product sees it, and the file it is in."""
    engine = Engine(checkpoint, Precision.FLOAT32)
    found, files = [], []
    for name, text in _texts():
        engine.open(name, name, text, 1)
        gaps = _line_gaps(text)
        request = ScoreRequest(name, 1, gaps, tuple(text[gap.start : gap.end] for gap in gaps))
        for score in engine.score(request).gaps:
            found.append(-score.logprob / max(1, len(score.tokens)))
            files.append(name)
        engine.close(name)
    return found, files


def _texts() -> list[tuple[str, str]]:
    library = Path(sysconfig.get_path("stdlib"))
    read = [(name, (library / name).read_text(encoding="utf-8")) for name in _FILES if (library / name).is_file()]
    if not read:
        raise CheckpointError("this Python has no sources of its library, on which the loss is measured")
    return [(name, text[-_FILE_CHARS:]) for name, text in read]  # the ends have more code than the beginnings


def _line_gaps(text: str) -> tuple[Gap, ...]:
    """Return gaps from within a line to its end, evenly spread over the text."""
    gaps, start = [], 0
    for line in text.splitlines(keepends=True):
        code = len(line.rstrip())
        if code >= 12 and start:
            gaps.append(Gap(start + code // 2, start + code))
        start += len(line)
    step = max(1, len(gaps) // _GAPS_PER_FILE)
    return tuple(gaps[::step][:_GAPS_PER_FILE])
