"""A worker whose engine only goes through the motions, to test the protocol: order, cancel, death, restart.

Run as a program it is a worker process. What an infill does is chosen by the
file's path; its text spells the file's own text, so that a mix-up shows.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from model.api.types import (  # noqa: E402
    GapInfill,
    GapScore,
    Infill,
    InfillRequest,
    ModelDescription,
    PartialInfill,
    Score,
    ScoreRequest,
    TokenScore,
)
from model.errors import Cancelled, CheckpointError  # noqa: E402
from tests.model.worker.held_files import HeldFiles  # noqa: E402


class StandInEngine(HeldFiles):
    def __init__(self) -> None:
        super().__init__()
        self.idle_slices_left = 0

    def describe(self) -> ModelDescription:
        return ModelDescription("stand-in", False, "float32", "there is nothing to compute", 0, 1024)

    def prepare(self, file_id: str, cursor: int) -> None:
        self.idle_slices_left = cursor

    def infill(
        self,
        request: InfillRequest,
        on_partial: Callable[[PartialInfill], None] | None,
        cancelled: Callable[[], bool],
    ) -> Infill:
        file = self.at(request.file_id, request.version)
        path, text = file.path, file.text
        if path == "slow.py":
            while not cancelled():
                on_partial(PartialInfill(0, text))
                time.sleep(0.005)
            raise Cancelled("withdrawn")
        if path == "stuck.py":
            time.sleep(600)  # and never looks whether it should stop
        if path == "busy.py":
            until = time.monotonic() + 6
            while time.monotonic() < until:
                pass
        if path == "noisy.py":
            print("stray print", flush=True)
            os.write(1, b"stray bytes on descriptor 1\n")
            os.system("echo stray child")
        if path == "broken.py":
            raise KeyError(text)
        if path.startswith("die:"):
            counter = Path(path[4:])
            counter.write_text(counter.read_text() + "x" if counter.exists() else "x")
            if len(counter.read_text()) <= 1 or counter.name == "always":
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02 if path == "short.py" else 0)
        spelled = text + "".join(snippet.text for snippet in file.snippets)
        gaps = tuple(GapInfill(gap, spelled, 1, (-0.5,), "eoi") for gap in request.gaps)
        return Infill(request.version, gaps, 1, 1, 0, 0.1)

    def score(self, request: ScoreRequest, cancelled: Callable[[], bool]) -> Score:
        return Score(tuple(GapScore((TokenScore(text, -1.0, "clean"),), -1.0, None) for text in request.texts), 0.0)

    def idle_slice(self) -> bool:
        time.sleep(0.002 if self.idle_slices_left else 0)
        self.idle_slices_left = max(0, self.idle_slices_left - 1)
        return self.idle_slices_left > 0

    def stats(self) -> dict[str, int | float | str]:
        return {"open_files": len(self.files), "idle_slices_left": self.idle_slices_left}


def load(tell_progress: Callable[[float], None]) -> StandInEngine:
    return StandInEngine()


def load_slowly(tell_progress: Callable[[float], None]) -> StandInEngine:
    tell_progress(0.25)
    time.sleep(0.7)
    return StandInEngine()


def load_holding_the_interpreter(tell_progress: Callable[[float], None]) -> StandInEngine:
    """As while torch is imported from a slow disk: no thread runs, and no processor time is used."""
    ctypes.PyDLL(None).usleep(6_000_000)
    time.sleep(1.0)
    return StandInEngine()


def load_once_fetched(tell_progress: Callable[[float], None]) -> StandInEngine:
    """Fail as long as the file that the environment names is not there."""
    if not Path(os.environ["SETFILL_TEST_FETCHED"]).exists():
        fail_to_load(tell_progress)
    return load(tell_progress)


def fail_to_load(tell_progress: Callable[[float], None]) -> StandInEngine:
    raise CheckpointError("the checkpoint lacks its tokenizer: import the model again")


if __name__ == "__main__":
    from model.worker.process import run_and_exit

    loads = {
        "load": load,
        "slow": load_slowly,
        "held": load_holding_the_interpreter,
        "fail": fail_to_load,
        "fetched": load_once_fetched,
    }
    if sys.argv[1] == "crash":
        sys.exit("No module named 'torch'")
    run_and_exit(sys.argv[2:], loads[sys.argv[1]])
