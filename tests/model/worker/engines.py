"""Engines with a tiny network and one open file, and what is asked of them."""

from __future__ import annotations

from typing import Any

from model.api.types import (
    Gap,
    Infill,
    InfillRequest,
    Limits,
)
from model.network.linear import Precision
from model.sessions.geometry import FULL
from model.sessions.session import Session
from model.worker.engine import Engine
from tests.model.tiny import tiny_checkpoint
from tests.model.windows import SMALL, SMALLER, STANDARD_TEXT

TEXT = STANDARD_TEXT * 3
AT = TEXT.index("parts = []")


def engine_of(adapted: bool = True, seed: int = 0, **options: Any) -> Engine:
    options = {"full": SMALL, "near": SMALLER, **options}
    return Engine(tiny_checkpoint(seed=seed, adapted=adapted), Precision.FLOAT32, **options)


def opened(text: str = TEXT, **options: Any) -> Engine:
    engine = engine_of(**options)
    engine.open("f", "src/a.py", text, 1)
    return engine


# Windows that hold all of TEXT, so that answers do not depend on the way that a window came there.
WHOLE: dict[str, Any] = {"full": FULL, "near": FULL}


def settled(engine: Engine, *gaps: Gap) -> Engine:
    """Let idle work get ready for `gaps` to the end."""
    session_of(engine, "f").prepare(gaps)
    while engine.idle_slice():
        pass
    return engine


def session_of(engine: Engine, file_id: str) -> Session:
    return engine._sessions[file_id]


def fill(engine: Engine, *gaps: Gap | int, version: int = 1, max_tokens: int = 12, **options: Any) -> Infill:
    places = tuple(gap if isinstance(gap, Gap) else Gap(gap, gap) for gap in gaps)
    callbacks = {name: options.pop(name) for name in ("on_partial", "cancelled") if name in options}
    limits = Limits(max_tokens=max_tokens, **{n: options.pop(n) for n in ("max_lines", "max_ms") if n in options})
    request = InfillRequest("f", version, places, "left_to_right", limits=limits, **options)
    return engine.infill(request, **callbacks)


def texts(infill: Infill) -> list[str]:
    return [gap.text for gap in infill.gaps]
