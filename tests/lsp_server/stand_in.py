"""A model worker that knows how a file is to end up, to test the language server without a network.

Its model is a JSON file (see `Script` in helpers.py). An infill is what `target` says between the text before the
gap and the text behind it; `phrases` say what follows certain endings of the text before. Every frame that reaches
the worker is written to a file, so that tests can tell what it was shown.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from model.api import wire  # noqa: E402
from model.api.types import (  # noqa: E402
    Alternative,
    Gap,
    GapInfill,
    Infill,
    InfillRequest,
    ModelDescription,
    PartialInfill,
    Score,
    ScoreRequest,
)
from model.errors import Cancelled, InputError  # noqa: E402
from tests.model.worker.held_files import HeldFiles  # noqa: E402


class ScriptedEngine(HeldFiles):
    def __init__(self, script: dict[str, Any]) -> None:
        super().__init__()
        self.script = script
        self.infills = self.prepared = 0
        self.policies: list[str] = []

    def describe(self) -> ModelDescription:
        return ModelDescription("scripted", self.script.get("adapted", True), "float32", "nothing to compute", 0, 1024)

    def prepare(self, file_id: str, cursor: int) -> None:
        self.prepared += 1

    def infill(
        self,
        request: InfillRequest,
        on_partial: Callable[[PartialInfill], None] | None,
        cancelled: Callable[[], bool],
    ) -> Infill:
        self.infills += 1
        self.policies.append(request.policy)
        text = self.at(request.file_id, request.version).text
        until = time.monotonic() + self.script.get("delay_ms", 0) / 1000
        says = self.says(text, request.gaps)
        until += self.script.get("line_ms", 0) / 1000 * _limited(says[0], request.limits.max_lines)[0].count("\n")
        for index, said in enumerate(says):
            if on_partial and said:
                for known in (said[: len(said) // 2], said):
                    on_partial(PartialInfill(index, known, *self.lines_of(known)))
        while time.monotonic() < until:
            if cancelled():
                raise Cancelled("withdrawn")
            time.sleep(0.002)
        logprobs = (self.script.get("logprob", -0.05),) * 3
        gaps = []
        for gap, said in zip(request.gaps, says, strict=True):
            shown, stop = _limited(said, request.limits.max_lines)
            others = self.script.get("alternatives", [])[: request.candidates - 1]
            cut = [_limited(other, request.limits.max_lines)[0] for other in others]
            alternatives = tuple(Alternative(other, 3, logprobs, "eoi") for other in cut)
            stop = self.script.get("stop", stop)
            gaps.append(GapInfill(gap, shown, 3, logprobs, stop, alternatives))
        return Infill(request.version, tuple(gaps), 1, 10, 90, 1.0)

    def lines_of(self, said: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Return log-probabilities and tokens of lines as a worker tells them, if each character were a token."""
        if not self.script.get("tells_lines", True):
            return (), ()
        ends = (at for at, char in enumerate(said, start=1) if char == "\n")
        return (self.script.get("logprob", -0.05),) * len(said), tuple(ends)

    def says(self, text: str, gaps: Sequence[Gap]) -> list[str]:
        before = text[: gaps[0].start]
        if self.script.get("echo"):
            return [echo(text)] * len(gaps)
        for ending, says in self.script.get("phrases", []):
            if before.endswith(ending):
                return [says] * len(gaps)
        target = self.script.get("target", "")
        if not target.startswith(before):
            return [""] * len(gaps)
        found, at = [], len(before)
        for index, gap in enumerate(gaps):
            until = gaps[index + 1].start if index + 1 < len(gaps) else len(text)
            behind = text[gap.end : until]
            end = target.find(behind, at) if behind.strip() else len(target)
            if end < 0:
                if index + 1 < len(gaps):
                    raise InputError("the target has no such text")
                end = len(target)  # the user will go another way: the model does not know
            found.append(target[at:end])
            at = end + len(behind)
        return found

    def score(self, request: ScoreRequest, cancelled: Callable[[], bool]) -> Score:
        raise InputError("the stand-in does not score")

    def idle_slice(self) -> bool:
        return False

    def stats(self) -> dict[str, int | float | str]:
        texts = {f"text {file_id.partition('/')[2]}": file.text for file_id, file in self.files.items()}
        return {
            "infills": self.infills,
            "files": len(self.files),
            "prepared": self.prepared,
            "policies": " ".join(self.policies),
            **texts,
        }


def echo(text: str) -> str:
    """What is said of a text where the script wants to know which text the model saw."""
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _limited(text: str, max_lines: int | None) -> tuple[str, str]:
    breaks = [found.start() for found in re.finditer(r"\r\n|\n|\r", text)]
    if max_lines is None or len(breaks) < max_lines:
        return text, "eoi"
    return text[: breaks[max_lines - 1]], "lines"


def main() -> None:
    from model.worker.process import run_and_exit

    script_path = Path(sys.argv[sys.argv.index("--model") + 1])
    script = json.loads(script_path.read_text())
    frames = os.open(script_path.with_suffix(".frames"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    decode = wire.decode_body

    def decode_and_record(body: bytes) -> Any:
        os.write(frames, body + b"\n")
        return decode(body)

    wire.decode_body = decode_and_record

    def load(tell_progress: Callable[[float], None]) -> ScriptedEngine:
        tell_progress(0.5)
        time.sleep(script.get("load_ms", 0) / 1000)
        return ScriptedEngine(script)

    run_and_exit(sys.argv[1:], load)


if __name__ == "__main__":
    main()
