"""The settings of a training run: one TOML file, one dataclass per table, every field explained beside it.

Knows no torch. The defaults are the recipe of docs/design.md, section 7.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from model.errors import InputError, cannot_read
from model.sessions.geometry import FULL, Geometry

OBJECTIVES = ("set_causal", "ar_fim")
DEVICES = ("auto", "cpu", "cuda")
ATTENTIONS = ("auto", "flex", "dense", "rows")
COMPUTE_DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class DataConfig:
    """Where the run reads from. Relative paths are relative to the TOML file."""

    corpus: str = "corpus"  # directory that `setfill train corpus` wrote
    start: str = "start"  # directory in Setfill's own format whose weights training starts from
    eoi_like: int = 0  # of a start that was never trained to infill: the token whose embedding `<eoi>` begins with
    workers: int = 0  # processes that build examples; 0 builds them in the training process


@dataclass(frozen=True)
class ExampleConfig:
    """How a document becomes rows. Lengths in tokens unless the name says otherwise; shares are 0 to 1."""

    objective: str = "set_causal"  # or ar_fim: the suffix-prefix-middle control, one gap per sequence
    unit_rows: int = 4096  # rows of a unit: what attends to each other lies in one
    context_length: int = 8192  # position ids stay below this

    # Documents are cut into windows, each encoded once as left island and once as chunked right island.
    window_min: int = 192  # window lengths are log-uniform; a shorter document is one window
    window_max: int = FULL.left_max  # a session's left stack never holds more
    path_max: int = FULL.geometry.path_tokens  # of a longer path, the left island's header has the end
    gap_share: float = 1.0  # rows planned for gaps, per window token; what is left of a unit goes to gaps too
    chunk_tokens: int = FULL.geometry.chunk_tokens  # right-stack chunks at most
    drop_filename: float = 0.1  # windows without the <filename> header
    right_ids: int = FULL.geometry.right_ids  # position ids of the right island; context islands end below them

    # Context islands.
    context_share: float = 0.25  # windows that carry islands
    context_islands_max: int = 4  # 1 to this many, of other files of the same package
    context_tokens_min: int = 32  # log-uniform
    context_tokens_max: int = 256

    # Where gaps lie. `characters` + `lines` + `nodes` make the whole of the gaps that are not empty.
    empty_share: float = 0.08
    characters_share: float = 0.5
    lines_share: float = 0.3
    nodes_share: float = 0.2
    to_line_end: float = 0.3  # of the gaps cut at characters: moved to end where a line does, as when typing
    span_min: int = 1  # log-uniform
    span_max: int = 256
    left_min: int = 64  # a gap has this much before it, unless the file begins there
    right_min: int = 32  # and after it, unless the file ends there

    # Jointly filled gaps.
    joint_window_share: float = 0.25  # windows that may carry them
    joint_share: float = 0.3  # of the draws in such windows: one group instead of one gap
    joint_gaps_max: int = 4  # 2 to this many
    joint_between_max: int = 192  # text between two of them, log-uniform
    joint_span_max: int = 64
    joint_free_ids: int = FULL.geometry.joint_gap_ids  # left to every gap but the last

    # Replayed edits: cursor walks that leave the small chunks real sessions leave.
    walk_share: float = 0.2  # gaps behind which the cursor has walked
    walk_steps_max: int = 6
    walk_step_chars_max: int = 60  # log-uniform

    # Orders and sets.
    left_to_right_share: float = 0.7
    window_order_share: float = 0.2
    subset_share: float = 0.1
    window_sizes: tuple[int, ...] = (4, 8, 16)  # S of the position-biased order
    set_min: int = 1  # log-uniform
    set_max: int = 12
    past_end_rows: int = 16  # mask rows past the true end are trained to say <eoi>, at most this many
    past_end_full: float = 0.2  # gaps whose last set goes on to the full number of them
    subset_end_known: float = 0.5  # random subsets that show where the gap ends (the length is drawn first)

    island_target_share: float = 0.25  # rows of islands whose next-token loss is taken: an unbiased sample of the mean

    @property
    def geometry(self) -> Geometry:
        """The pieces and ids that a session would have: its own, unless a setting says otherwise."""
        return Geometry(self.path_max, self.chunk_tokens, self.right_ids, self.joint_free_ids)

    def __post_init__(self) -> None:
        _check(self.objective in OBJECTIVES, f"objective {self.objective!r} is none of {OBJECTIVES}")
        for name, value in asdict(self).items():
            is_share = isinstance(value, float) and name != "gap_share"
            _check(not is_share or 0 <= value <= 1, f"{name} = {value} must lie between 0 and 1")
        for group in (
            ("characters_share", "lines_share", "nodes_share"),
            ("left_to_right_share", "window_order_share", "subset_share"),
        ):
            total = sum(getattr(self, name) for name in group)
            _check(abs(total - 1) < 1e-6, f"{' + '.join(group)} is {total:g} and must be 1")
        for low, high in (
            ("window_min", "window_max"), ("context_tokens_min", "context_tokens_max"),
            ("span_min", "span_max"), ("set_min", "set_max"),
        ):  # fmt: skip
            _check(1 <= getattr(self, low) <= getattr(self, high), f"{low} must be at least 1 and at most {high}")
        _check(self.unit_rows >= 2 * self.window_min, "unit_rows must hold the shortest window twice")
        _check(self.joint_gaps_max >= 2, "joint_gaps_max must be at least 2")
        longest = self.joint_span_max + self.past_end_rows + 40  # 40: the held-back piece and <eoi>
        _check(longest <= self.joint_free_ids, f"joint_free_ids must be at least {longest} for joint_span_max")


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule."""

    peak_rate: float = 4e-4
    warm_up_updates: int = 40
    decay_share: float = 0.4  # the last share of the updates, linear to zero
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.05  # not on norms, biases and embeddings
    clip: float = 1.0  # of the gradient's norm
    rows_per_update: int = 262_144
    special_rate: float = 1.0  # of the embeddings of <mask>, <infill> and <eoi>, in times the rate of all others
    mask_weight: float = 1.0  # the loss: each the mean over its rows of an update
    gap_next_weight: float = 1.0
    island_next_weight: float = 0.1

    def __post_init__(self) -> None:
        _check(self.peak_rate > 0, "peak_rate must be above 0")
        _check(0 <= self.decay_share <= 1, "decay_share must lie between 0 and 1")
        _check(self.warm_up_updates >= 1, "warm_up_updates must be at least 1")


@dataclass(frozen=True)
class RunConfig:
    """How long, on what, and what is written. Times in seconds, of this start of the program."""

    seed: int = 0
    updates: int = 1000  # in all; with `finish_within_s`, at most
    finish_within_s: float = 0.0  # above 0: measure rows/s first, then fix the updates so that the schedule fits
    measure_s: float = 60.0  # how long to measure
    reserve_s: float = 20.0  # kept for the last checkpoint
    device: str = "auto"  # cuda where there is one
    micro_batch_units: int = 8  # units of one forward and backward
    # flex: compiled FlexAttention; dense: SDPA with a mask; rows: some rows against the keys they see at a time.
    attention: str = "auto"  # flex on a GPU, rows on a CPU
    compute_dtype: str = "auto"  # bfloat16 on a GPU, float32 on a CPU
    compile: bool = True  # torch.compile, on a GPU only
    head_chunk_rows: int = 8192  # target rows whose logits exist at a time
    checkpoint_s: float = 120.0  # at most this long between two checkpoints
    keep_checkpoints: int = 2  # of the weights in pieces
    save_state: bool = True  # fp32 weights and optimiser, to go on after a kill
    plot_s: float = 30.0

    def __post_init__(self) -> None:
        _check(self.device in DEVICES, f"device {self.device!r} is none of {DEVICES}")
        _check(self.attention in ATTENTIONS, f"attention {self.attention!r} is none of {ATTENTIONS}")
        known = self.compute_dtype in COMPUTE_DTYPES
        _check(known, f"compute_dtype {self.compute_dtype!r} is none of {COMPUTE_DTYPES}")
        _check(self.updates >= 1 and self.micro_batch_units >= 1, "updates and micro_batch_units must be at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """The whole file."""

    data: DataConfig = field(default_factory=DataConfig)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        rows = self.examples.unit_rows * self.run.micro_batch_units
        _check(
            self.optimiser.rows_per_update % rows == 0,
            f"rows_per_update must be a multiple of unit_rows * micro_batch_units = {rows}",
        )

    @property
    def units_per_update(self) -> int:
        return self.optimiser.rows_per_update // self.examples.unit_rows

    def with_paths_from(self, directory: Path) -> TrainingConfig:
        """Return this configuration with its relative paths taken from `directory`."""
        corpus, start = str(directory / self.data.corpus), str(directory / self.data.start)
        return replace(self, data=replace(self.data, corpus=corpus, start=start))


T = TypeVar("T")


def read_config(path: Path) -> TrainingConfig:
    """Return the settings in a TOML file. Raises InputError, naming the setting that is wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the training settings {path}: {error}") from error
    try:
        return parse_config(data).with_paths_from(path.parent.absolute())
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def parse_config(data: Mapping[str, Any]) -> TrainingConfig:
    """Return the settings given as nested tables. Raises ValueError."""
    return _parse(TrainingConfig, data, "")


def _parse(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    hints = get_type_hints(kind)
    unknown = set(data) - {setting.name for setting in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"unknown setting {where}{sorted(unknown)[0]}")
    values: dict[str, Any] = {}
    for name, value in data.items():
        expected = hints[name]
        if isinstance(value, Mapping):
            value = _parse(expected, value, f"{where}{name}.")
        elif isinstance(value, list):
            value = tuple(value)
        elif expected is float and type(value) is int:
            value = float(value)
        elif type(value) is not expected:
            raise ValueError(f"{where}{name} = {value!r} must be of type {expected.__name__}")
        values[name] = value
    return kind(**values)


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise ValueError(complaint)
