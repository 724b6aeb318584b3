"""`setfill doctor`: check, from the outside in, all that an infill needs."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import stat
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from lint.formats.phrases import count
from model import store
from model.api.client import WorkerClient, WorkerOptions
from model.api.processor import cpu_flags, usable_cores
from model.api.runtime import has_sockets, package_version, runtime_dir
from model.api.types import Gap, Infill, InfillRequest, Limits
from model.api.visible_text import visible
from model.errors import SetfillError
from setfill.arguments import Parser, add_color, add_model
from setfill.display import console

# What the network's low precisions are fast with, by the kernel's names.
_CPU_FEATURES = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
)
_SAMPLE = "def area(width, height):\n    return "


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "doctor",
        help="check the installation",
        description="Check Python, PyTorch, the CPU, the model, the runtime directory and the worker. "
        "Exit status 1 when something is wrong.",
    )
    add_model(parser)
    add_color(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one line for each check; return 1 when one failed."""
    report = _Report(console(options.color))
    for name, check in (
        ("setfill", _package),
        ("python", _python),
        ("torch", _torch),
        ("cpu", _cpu),
        ("runtime", _runtime),
    ):
        report.check(name, check)
    model = report.check("model", lambda: str(store.find(options.model).resolve()))
    asyncio.run(_check_worker(report, model or options.model, has_model=model is not None))
    return 1 if report.failures else 0


class _Report:
    def __init__(self, out: Console) -> None:
        self.out = out
        self.failures = 0

    def check(self, name: str, look: Any) -> str | None:
        """Print what `look` finds; return it, or None when it raised a SetfillError."""
        try:
            found: str = look()
        except SetfillError as error:
            self.failed(name, error)
            return None
        self.passed(name, found)
        return found

    def passed(self, name: str, text: str) -> None:
        self._line("ok", "green", name, text)

    def failed(self, name: str, error: SetfillError) -> None:
        self.failures += 1
        self._line("wrong", "bold red", name, str(error))

    def _line(self, verdict: str, style: str, name: str, text: str) -> None:
        self.out.print(f"{verdict:6}", style=style, end="")
        self.out.print(f"{name:11}{visible(text)}", markup=False)


def _package() -> str:
    return f"{package_version()} in {Path(__file__).resolve().parents[1]}"


def _python() -> str:
    return f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"


def _torch() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        raise SetfillError("PyTorch is not installed; run: pip install torch") from None


def _cpu() -> str:
    features = sorted(set(_CPU_FEATURES) & set(cpu_flags()), key=_CPU_FEATURES.index)
    return f"{platform.machine()}, {usable_cores()} cores for us; {' '.join(features) or 'features not known'}"


def _runtime() -> str:
    if not has_sockets():
        return "there are no Unix sockets here: each editor window has a model worker of its own"
    directory = runtime_dir()
    return f"{directory}, mode {stat.S_IMODE(directory.stat().st_mode):04o}"


async def _check_worker(report: _Report, model: str, has_model: bool) -> None:
    client = WorkerClient(WorkerOptions(model))
    try:
        began = time.monotonic()
        await client.start()
        report.passed("worker", f"process {client.pid} answered after {(time.monotonic() - began) * 1000:.0f} ms")
        if not has_model:
            return
        description = await client.describe()
        loaded_s = time.monotonic() - began
        sees = "not adapted to infilling: sees the prefix only"
        if description.sees_suffix:
            sees = f"fills in the middle, as {description.fim}" if description.fim else "infills"
        millions = description.parameters / 1e6
        report.passed("weights", f"{description.name}, {millions:.1f} M parameters, loaded in {loaded_s:.1f} s; {sees}")
        report.passed("precision", f"{description.precision}: {description.precision_reason}")
        threads = (await client.stats()).get("threads", "as many as PyTorch chooses")
        report.passed("threads", f"{threads} (OMP_NUM_THREADS is {os.environ.get('OMP_NUM_THREADS', 'not set')})")
        report.passed("forward", _forward_time(await _time_infill(client)))
    except SetfillError as error:
        report.failed("worker", error)
    finally:
        await client.stop()


async def _time_infill(client: WorkerClient) -> Infill:
    """Return the second of two infills: the first one also encodes the text before it."""
    client.open("sample", "sample.py", _SAMPLE, version=1)
    end = len(_SAMPLE)
    request = InfillRequest("sample", 1, (Gap(end, end),), limits=Limits(max_tokens=8))
    await client.infill(request)
    return await client.infill(request)


def _forward_time(infill: Infill) -> str:
    each = infill.ms / max(1, infill.forwards)
    tokens, forwards = count(infill.gaps[0].tokens, "token"), count(infill.forwards, "forward")
    return f"{each:.1f} ms ({tokens} in {forwards} took {infill.ms:.0f} ms)"
