"""Fetching from the hub, from a stand-in on this machine: whole, resumed, checked, and with the licence told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from model import hub, store
from model.checkpoint.loading import load_checkpoint
from model.errors import CheckpointError, InputError
from setfill import cli
from tests.model.fim import save_fim_model
from tests.model.hub import COMMIT, Hub, running

REPOSITORY = "somebody/tiny-coder"


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("files")
    save_fim_model(directory, "qwen2.5-coder")
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def served(model_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(store, "WEIGHTS_PACKAGE", "no_such_distribution")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # so much is lost at most
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
    with running(Hub({REPOSITORY: dict(model_files)})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def fetch(*arguments: str) -> int:
    return cli.run(["models", "fetch", *arguments])


def left_over(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "home" / "downloads").glob("*"))


def test_a_model_is_fetched_imported_and_its_licence_told(
    served: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.repositories[REPOSITORY] |= {
        "modeling.py": b"raise SystemExit",
        "pytorch_model.bin": b"x",
        "a/b.json": b"{}",
    }
    assert fetch(f"hub:{REPOSITORY}") == 0
    out, _ = capsys.readouterr()
    assert f"{REPOSITORY} at {COMMIT[:12]}, licence apache-2.0" in out
    assert "tiny-coder is installed" in out
    assert "fills in the middle as qwen2.5-coder" in out
    assert store.info("tiny-coder").capabilities.fim == "qwen2.5-coder"  # type: ignore[union-attr]
    assert not left_over(tmp_path), "what was downloaded is imported, and not kept besides"
    fetched = {path.rsplit("/", 1)[1] for method, path, _ in served.asked if method == "GET"}
    assert fetched == {"config.json", "tokenizer.json", "model.safetensors"}, "no code, no pickles"


def test_names_and_revisions(served: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(f"hub:{REPOSITORY}@{COMMIT}", "--name", "mine", "--fim", "none") == 0
    assert store.info("mine").capabilities.fim is None  # type: ignore[union-attr]
    assert fetch(f"hub:{REPOSITORY}", "--name", "mine") == 2
    assert "there already" in capsys.readouterr().err
    assert fetch(f"hub:{REPOSITORY}@nowhere", "--name", "other") == 2
    assert "no such model or revision" in capsys.readouterr().err


def test_an_interrupted_fetch_goes_on_where_it_ended(served: Hub, tmp_path: Path, model_files: dict) -> None:
    """A dropped connection within a file, and a file that could not be had until the next try."""
    served.cut_once, served.broken = "model.safetensors", "tokenizer.json"
    assert fetch(f"hub:{REPOSITORY}") == 2
    assert left_over(tmp_path), "what has come is kept"
    served.broken = None
    assert fetch(f"hub:{REPOSITORY}") == 0
    assert len(served.gets("config.json")) == 1
    whole, rest = served.gets("model.safetensors")
    assert whole is None
    assert rest is not None
    assert 0 < int(rest.removeprefix("bytes=").rstrip("-")) <= len(model_files["model.safetensors"])
    assert not left_over(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_file_is_noticed_and_fetched_anew(
    served: Hub, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.damaged = name
    assert fetch(f"hub:{REPOSITORY}") == 2
    assert f"{name} came damaged and was removed" in capsys.readouterr().err
    assert not (tmp_path / "home" / "models" / "tiny-coder").exists()
    served.damaged = None
    assert fetch(f"hub:{REPOSITORY}") == 0
    assert load_checkpoint(store.find("tiny-coder")).capabilities.fim == "qwen2.5-coder"


def test_what_cannot_be_fetched_says_what_to_do(served: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    def said(reference: str) -> str:
        assert fetch(reference) == 2
        return capsys.readouterr().err

    assert "hub:OWNER/NAME" in said("hub:somebody")
    assert "hub:OWNER/NAME" in said("hub:../../etc@x y")
    assert "the hub has no such model" in said("hub:nobody/nothing")
    files = served.repositories[REPOSITORY]
    served.repositories["a/pickled"] = {name: data for name, data in files.items() if "safetensors" not in name}
    assert "no safetensors weights" in said("hub:a/pickled")
    served.repositories["a/gguf"] = {"model.gguf": b"x"}
    assert "has no config.json" in said("hub:a/gguf")
    served.repositories["a/other"] = files | {"config.json": b'{"model_type": "mamba"}'}
    assert "model_type 'mamba' is not supported" in said("hub:a/other")
    served.gated = True
    assert "terms accepted first" in said(f"hub:{REPOSITORY}")


def test_nobody_answers(served: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(f"hub:{REPOSITORY}") == 2
    assert "the hub could not be asked" in capsys.readouterr().err


def test_without_the_package(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="pip install huggingface_hub"):
        hub.look_up(f"hub:{REPOSITORY}")
    with pytest.raises(InputError):
        hub.look_up("hub:")


def test_nothing_is_asked_unless_it_is_fetched(served: Hub, tmp_path: Path) -> None:
    assert cli.run(["models", "list"]) == 0
    assert cli.run(["models", "info", f"hub:{REPOSITORY}"]) == 2
    assert not served.asked


def test_a_directory_is_imported_with_the_format_that_is_named(
    served: Hub, model_files: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Qwen2.5 has the special tokens of Qwen2.5-Coder, and nothing says that it was trained on them."""
    source = tmp_path / "source"
    source.mkdir()
    for name, data in model_files.items():
        (source / name).write_bytes(data)
    assert cli.run(["models", "import", str(source), "--name", "general", "--fim", "none"]) == 0
    assert store.info("general").capabilities.fim is None  # type: ignore[union-attr]
    assert "sees the prefix only" in capsys.readouterr().out
    assert cli.run(["models", "import", str(source), "--name", "other", "--fim", "mellum"]) == 2
    assert "no special token" in capsys.readouterr().err
    assert not (tmp_path / "home" / "models" / "other").exists()
    shutil.rmtree(source)
