"""Reports of replays: what is read from them again, and what they say of the machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.api.processor import cpu_flags, cpu_name, usable_cores
from model.errors import InputError, cannot_read
from setfill.replay.player import Accept, Asked

_CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True)
class Report:
    """What later replays and comparisons take from a report."""

    name: str  # of the server, for tables
    asked: Sequence[Asked]

    @property
    def accepted(self) -> Mapping[int, Accept]:
        """What was accepted, by the place of its request among all."""
        return {
            place: Accept(each.accepted_ms, each.accepted_characters)
            for place, each in enumerate(self.asked)
            if each.accepted_ms is not None
        }


def read_report(path: Path) -> Report:
    """Return a report that `setfill bench replay` wrote. Raises InputError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["kind"] != "replay":
            raise ValueError("it is of another kind")
        return Report(str(data["server"]), [Asked(**each) for each in data["played"]["asked"]])
    except OSError as error:
        raise cannot_read(path, error) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a report of setfill bench replay ({type(error).__name__})") from error


def machine() -> dict[str, Any]:
    """Return what latencies depend on: the processor, what it can do, and how many of its cores are ours."""
    flags = set(cpu_flags())
    return {
        "processor": cpu_name() or platform.processor() or platform.machine(),
        "features": [name for name in _CPU_FEATURES if name in flags],
        "cores": usable_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
