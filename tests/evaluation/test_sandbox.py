"""Generated programs cannot get out, and cannot pass by leaving."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from model.errors import InputError
from model.evaluation import sandbox as sandbox_module
from model.evaluation.sandbox import Ending, Outcome, Sandbox, SandboxLimits


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    if not sandbox.isolated:
        pytest.skip("this machine cannot isolate programs")
    return sandbox


def check(sandbox: Sandbox, program: str, passed: bool, said: str = "") -> Outcome:
    outcome = sandbox.run(program)
    assert outcome.passed == passed, outcome
    assert said in outcome.output
    return outcome


def test_what_passes(sandbox: Sandbox) -> None:
    check(sandbox, "def double(x):\n    return 2 * x\nassert double(2) == 4", True)
    check(sandbox, "from typing import List\nimport math, re, hashlib, collections, itertools", True)
    check(sandbox, "print('é 🐍')", True)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def (", "SyntaxError"),
        ("exit(0)", ""),
        ("import os; os._exit(0)", ""),
        ("raise SystemExit", ""),
        ("import sys; sys.exit()", ""),
        ("if True:\n    '''", "SyntaxError"),  # swallows what comes after it
        ("print('\\n' + '0' * 32)", ""),
    ],
)
def test_what_does_not_pass(sandbox: Sandbox, program: str, said: str) -> None:
    ends_early = "exit" in program or "Exit" in program
    check(sandbox, program if ends_early else f"{program}\nassert False", False, said)


def test_no_network(sandbox: Sandbox) -> None:
    for address in ("127.0.0.1", "1.1.1.1"):
        check(sandbox, f"import socket\nsocket.create_connection(({address!r}, 53), 2)", False, "Error")
    check(sandbox, "import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']", True)


def test_without_a_network_of_its_own_no_program_is_run(sandbox: Sandbox) -> None:
    """The probe gets out where the network is ours, and then the sandbox refuses."""
    namespaces = sandbox_module._working_namespaces()
    assert sandbox_module.check_isolation(namespaces).passed
    shared = tuple(name for name in namespaces if name != "net")
    assert len(shared) == len(namespaces) - 1
    outcome = sandbox_module.check_isolation(shared)
    assert not outcome.passed
    assert "the network can be reached" in outcome.output


def test_nothing_is_written_outside(sandbox: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "written"
    check(sandbox, f"open({str(target)!r}, 'w').write('x')", False, "No such file")
    for place in ("/usr/setfill-probe", "/bin/setfill-probe"):
        check(sandbox, f"open({place!r}, 'w')", False, "Read-only file system")
    check(sandbox, "open('/work/x', 'w').write('x')\nassert open('/work/x').read() == 'x'", True)
    check(sandbox, "open('/work/x', 'w').write('x' * (64 << 20))", False, "File too large")
    assert not target.exists()


def test_what_is_ours_cannot_be_read(sandbox: Sandbox) -> None:
    for place in (__file__, "/etc/passwd", "/proc/self/environ", "/run"):
        check(sandbox, f"import os\nassert not os.path.exists({place!r})", True)
    check(sandbox, "import os\nassert set(os.environ) <= {'PATH', 'HOME', 'LANG', 'LC_CTYPE'}", True)


def test_a_fork_bomb_ends(sandbox: Sandbox) -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    began = time.monotonic()
    limited = Sandbox(limits=SandboxLimits(wall_s=1.5))
    assert limited.run(bomb).ending is Ending.TIMEOUT
    assert time.monotonic() - began < 15


def test_children_end_with_their_program(sandbox: Sandbox) -> None:
    """A child in a session of its own, deaf to signals, is gone when the program is."""
    seconds = str(10**6 + os.getpid())  # an argument to know it by
    program = f"""\
import os, signal, time
if os.fork() == 0:
    os.setsid()
    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
    os.execv('/bin/sleep', ['sleep', '{seconds}'])
time.sleep(0.3)
"""
    check(sandbox, program, True)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            assert seconds.encode() not in path.read_bytes().split(b"\0")


def test_hogs_end(sandbox: Sandbox) -> None:
    check(sandbox, "x = bytearray(2 << 30)", False, "MemoryError")
    check(sandbox, "while True:\n    pass", False)
    timed_out = Sandbox(limits=SandboxLimits(wall_s=0.7)).run("import time\ntime.sleep(60)")
    assert timed_out.ending is Ending.TIMEOUT
    check(sandbox, "while True:\n    print('x' * 1000)", False)


def test_no_way_back_to_privileges(sandbox: Sandbox) -> None:
    new_user = "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == -1"
    mount = "import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/work', b'tmpfs', 0, None) == -1"
    for program in (new_user, mount):
        check(sandbox, program, True)


def test_without_isolation_it_refuses_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module.shutil, "which", lambda name: None)
    sandbox_module._working_namespaces.cache_clear()
    try:
        with pytest.raises(InputError, match="--without-isolation"):
            Sandbox()
    finally:
        sandbox_module._working_namespaces.cache_clear()
    plain = Sandbox(isolated=False, limits=SandboxLimits(wall_s=5))
    assert not plain.isolated
    assert plain.run("assert True").passed
    assert not plain.run("exit(0)").passed
    assert plain.run("x = bytearray(2 << 30)").ending is Ending.FAILED
