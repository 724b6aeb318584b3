"""How far a session's logits are from a fresh window's, after the edits of a real editing session.

A session keeps chunks and cuts that its history left; a window built anew has
others. Both are right, and the difference is what the cache costs in quality.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.api.types import Edit, Gap
from model.checkpoint.record import Checkpoint
from model.decoding.gap_rows import GapRows
from model.decoding.likelihood import chain
from model.errors import InputError
from model.evaluation.answer_log import AnswerLog
from model.evaluation.edit_trace import EditTrace, replayed
from model.network.linear import Precision
from model.sessions.session import Session, SessionParts


def session_drift(
    checkpoint: Checkpoint,
    trace: EditTrace,
    samples: int,
    first: int = 0,
    edits: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Replay `edits` patches after the first `first`, and compare at `samples` of them; see `_compare`.

    Between edits all idle work is done; after the edit at which they are
    compared, none is, as when a suggestion follows a key at once. Comparisons are
    kept in `log` as they come. Where an interrupted run left some, the session
    still goes through all edits, for it is its history that counts, but its fresh
    windows are not built again.
    """
    parts = SessionParts.of(checkpoint, Precision.FLOAT32, island_bytes=1 << 20)
    text = replayed(trace.text, trace.patches[:first])
    patches = trace.patches[first : None if edits is None else first + edits]
    if not patches:
        raise InputError(f"the trace has only {len(trace.patches)} edits")
    sampled = set(torch.linspace(0, len(patches) - 1, min(samples, len(patches))).round().int().tolist())
    facts = {
        "model": checkpoint.name, "samples": samples, "edits": [first, len(patches)],
        "trace": sha256(repr(trace).encode()).hexdigest(),
    }  # fmt: skip
    session = Session(parts, "main.rs", text)
    with AnswerLog(log, facts) as kept:
        done_before = {answer["edit"] for answer in kept.answers}
        _settle(session, patches[0][0])
        for index, (at, gone, new) in enumerate(patches):
            progress(index, len(patches))
            cursor = at + len(new)
            session.edit([Edit(at, at + gone, new)])
            if index in sampled:
                here = _log_probs(session, cursor)  # every time: it has a part in what the session keeps
                if index not in done_before:
                    fresh = Session(parts, "main.rs", session.text)
                    _settle(fresh, cursor)  # or it would answer from its nearest rows
                    divergence, is_same = _compare(here, _log_probs(fresh, cursor))
                    kept.add({"edit": index, "divergence_nats": divergence, "same_first_choice": is_same})
            _settle(session, cursor)
        compared = kept.answers
    progress(len(patches), len(patches))
    divergences = sorted(answer["divergence_nats"] for answer in compared)
    return {
        "kind": "session",
        "model": checkpoint.name,
        "edits": len(patches),
        "samples": len(compared),
        "divergence_nats": {
            "mean": statistics.mean(divergences),
            "median": statistics.median(divergences),
            "p95": divergences[int(0.95 * (len(divergences) - 1))],
            "max": divergences[-1],
        },
        "same_first_choice": statistics.mean(answer["same_first_choice"] for answer in compared),
    }


def drift_page(report: dict[str, Any]) -> str:
    """Return the measure in two lines."""
    nats = report["divergence_nats"]
    return (
        f"{report['model']}, {report['samples']} places in {report['edits']} edits: a session beside a fresh window\n"
        f"KL divergence mean {nats['mean']:.4f}, median {nats['median']:.4f}, 95 % below {nats['p95']:.4f}, "
        f"at most {nats['max']:.4f} nats; the same first choice at {report['same_first_choice']:.1%}"
    )


def _settle(session: Session, cursor: int) -> None:
    """Do all idle work."""
    session.prepare((Gap(cursor, cursor),))
    while session.idle_slice():
        pass


def _log_probs(session: Session, cursor: int) -> Tensor:
    """Return what stands first in an infill at `cursor`, as log-probabilities [V]."""
    window = session.window_at((Gap(cursor, cursor),), lambda: False)
    infill_id = window.capabilities.infill_id
    opening = [] if infill_id is None else chain([infill_id], window.gap_first_id(0), first_rank=0)
    return GapRows(window).feed(opening)[-1].double().log_softmax(-1)


def _compare(session: Tensor, fresh: Tensor) -> tuple[float, bool]:
    """Return the divergence KL(fresh || session) in nats, and whether both prefer the same token."""
    divergence = float((fresh.exp() * (fresh - session)).sum().clamp_min(0))
    return divergence, bool(session.argmax() == fresh.argmax())
