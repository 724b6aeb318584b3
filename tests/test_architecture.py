"""The invariants that ARCHITECTURE.md tells as absences."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from grammars import offsets
from lsp_server.retrieval import chunks
from model.api import line_breaks

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model", "grammars", "lsp_server", "lint", "setfill")


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def modules_imported(code: str, modules: Set[str]) -> set[str]:
    """Return which of `modules` the code names in imports, wherever in it: also those for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole if whole <= modules else whole | {node.module}
    return found & modules


def import_graph(package: str) -> dict[str, set[str]]:
    """Return which modules of a package each of them names in imports."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files(package)}
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    modules = set(names.values())
    return {name: modules_imported(path.read_text(encoding="utf-8"), modules) for path, name in names.items()}


# What each room of ARCHITECTURE.md's table must not know, as the imports that it must not have.
FORBIDDEN = {
    "grammars": ("model", "lsp_server", "setfill", "lint", "torch", "pygls", "lsprotocol"),
    "model": ("lsp_server", "setfill", "lint", "pygls", "lsprotocol", "grammars"),
    "model/api": ("torch", "model.network", "model.sessions", "model.decoding", "model.worker", "model.checkpoint"),
    "model/worker": (),
    "model/service": ("torch", "model.network", "model.sessions", "model.decoding", "model.api.client"),
    "model/sessions": ("model.worker", "model.decoding", "model.api.client", "model.api.wire", "socket", "asyncio"),
    "model/network": ("model.sessions", "model.decoding", "model.worker", "model.api", "tokenizers"),
    "model/decoding": ("model.worker", "model.api.client", "model.api.wire", "socket", "asyncio"),
    "model/checkpoint": ("model.network", "model.sessions", "model.decoding", "model.worker"),
    "model/training": ("model.worker", "model.api.client"),
    "model/evaluation": ("lsp_server",),
    "model/release": ("lsp_server", "model.api.client"),
    "lsp_server": (
        "torch", "tokenizers", "setfill",
        "model.network", "model.sessions", "model.decoding", "model.worker", "model.checkpoint",
    ),
    "lsp_server/retrieval": ("model", "grammars", "lint", "pygls", "lsprotocol", "lsp_server.server", "pathlib"),
    "lint": (
        "torch", "tokenizers", "setfill", "lsp_server", "pygls", "lsprotocol",
        "model.network", "model.sessions", "model.decoding", "model.worker", "model.checkpoint",
    ),
    "setfill": ("torch", "tokenizers", "model.network", "model.sessions", "model.decoding"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    list(FORBIDDEN.items()),
)
def test_dependencies_point_one_way(folder: str, forbidden: tuple[str, ...]) -> None:
    for path in files(folder):
        for name in imports(path):
            for other in forbidden:
                assert name != other, f"{path.relative_to(ROOT)} imports {name}"
                assert not name.startswith(other + "."), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    try:
        graphlib.TopologicalSorter(import_graph(package)).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import a.b", {"a.b"}),
        ("import a.b as c, os", {"a.b"}),
        ("from a import b", {"a.b"}),
        ("from a import b, Something", {"a", "a.b"}),
        ("from a.b import Something", {"a.b"}),
        ("if TYPE_CHECKING:\n    from a import b", {"a.b"}),
        ("def f():\n    from a.b import Something", {"a.b"}),
        ("from os import path", set()),
    ],
)
def test_every_kind_of_import_is_noticed(line: str, expected: set[str]) -> None:
    """A test of the test above."""
    assert modules_imported(line, {"a", "a.b"}) == expected


def test_the_map_shows_every_room_and_no_other() -> None:
    """Each folder of Python has a row in ARCHITECTURE.md, and what the page names is there."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {
        f"{path.parent.relative_to(ROOT)}"
        for path in [*ROOT.glob("model/*/__init__.py"), *ROOT.glob("lsp_server/*/__init__.py")]
    }
    assert {*PACKAGES, *rooms} == set(FORBIDDEN)
    for room in {*rooms, *PACKAGES} - {"model"}:
        assert f"| `{room}/`" in page, f"ARCHITECTURE.md has no row for {room}"
    for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", page):
        assert any(ROOT.glob(name)), f"ARCHITECTURE.md names {name}, which is not there"


def test_every_module_says_what_it_is() -> None:
    for package in PACKAGES:
        for path in files(package):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


@pytest.mark.parametrize("module", ["model.api.client", "model.store", "setfill.cli", "grammars"])
def test_importing_the_torch_free_side_brings_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# What runs code that a file names: pickle, what is built on it, and modules that unpickle when asked politely.
UNPICKLERS = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas")
UNPICKLING_CALLS = {
    "torch": {"load", "save", "jit"},
    "torch.jit": {"load", "save"},
    "torch.serialization": {"load", "save"},
    "torch.package": {"PackageImporter"},
    "torch.hub": {"load", "load_state_dict_from_url"},
}
UNPICKLING_ARGUMENTS = {"weights_only", "allow_pickle"}


def unpickling(tree: ast.AST) -> Iterator[str]:
    """Yield what in a file's syntax may unpickle something."""
    imported = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    real_name = {alias.asname: alias.name for alias in imported if alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (name for name in names if name.partition(".")[0] in UNPICKLERS or name == "torch.package")
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.partition(".")[0] in UNPICKLERS:
                yield node.module
            taken = UNPICKLING_CALLS.get(node.module, set())
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in taken)
        elif isinstance(node, ast.Attribute):
            first, dot, rest = ast.unparse(node.value).partition(".")
            if node.attr in UNPICKLING_CALLS.get(real_name.get(first, first) + dot + rest, set()):
                yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg in UNPICKLING_ARGUMENTS:
            yield f"{node.arg}="


def test_no_weights_are_pickled() -> None:
    for package in (*PACKAGES, "benchmarks"):
        for path in files(package):
            assert not list(unpickling(ast.parse(path.read_text(encoding="utf-8")))), path


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path)",
        "import torch.serialization as s\ns.load(path)",
        "from torch import load",
        "from torch import load as read",
        "from torch.serialization import load",
        "torch.jit.load(path)",
        "torch.hub.load_state_dict_from_url(url)",
        "read(path, weights_only=True)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import joblib",
        "import shelve",
    ],
)
def test_whatever_unpickles_is_noticed(line: str) -> None:
    """A test of the test above, which once knew `import pickle` only."""
    assert list(unpickling(ast.parse(f"def f(path, url):\n{'    ' + line.replace(chr(10), chr(10) + '    ')}\n")))


def test_the_readme_shows_the_two_commands_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("make demo") < text.index("make test") < text.index("##")


def test_files_stay_readable() -> None:
    """A file that outgrows this is more than one thing. That holds for tests too."""
    for package in (*PACKAGES, "tests", "benchmarks"):
        for path in files(package):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path


def test_where_a_line_ends_is_said_once_on_each_side() -> None:
    """It stood in fourteen modules. `grammars` and the retrieval import nothing of ours, and so have their own."""
    spelled = re.compile(r"\\r\\n(?:\|\\[rn]){2}")
    rooms = [path for package in (*PACKAGES, "benchmarks") for path in files(package)]
    found = {f"{path.relative_to(ROOT)}" for path in rooms if spelled.search(path.read_text(encoding="utf-8"))}
    assert found == {"grammars/offsets.py", "lsp_server/retrieval/chunks.py", "model/api/line_breaks.py"}
    text = "a\nb\r\nc\rd\n\r\r\n\x0c\x0b\x85\u2028e\n"
    assert line_breaks.LINE_BREAK.split(text) == offsets.LINE_BREAK.split(text) == chunks.lines_of(text)
    assert "".join(offsets.KEPT_LINES.findall(text)) == text
