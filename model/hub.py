"""Models of the Hugging Face Hub: what a repository holds, and its files on disk, whole and as the hub knows them.

Asked for by `models fetch hub:OWNER/NAME` alone. The package huggingface_hub,
an extra, speaks with the hub: it knows users' proxies, tokens and mirrors
(HF_ENDPOINT), and goes on where an interrupted download ended. Code of a
repository is neither fetched nor run, and pickles are not fetched. Knows no
checkpoints; imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from model.checkpoint.description import file_sha256
from model.errors import CheckpointError, InputError

PREFIX = "hub:"
_REFERENCE = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_DESCRIBING = ("config.json", "tokenizer.json", "tokenizer_config.json")
_INDEX = "model.safetensors.index.json"
_WATCH_S = 0.2

Progress = Callable[[str, int, int], None]  # as of model.store


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, with the hash that the hub has of it."""

    name: str
    bytes: int
    sha256: str | None  # of large files
    blob_id: str | None  # Git's hash, of the others


@dataclass(frozen=True)
class HubModel:
    """A repository at one commit, and those of its files that make a model."""

    repository: str
    commit: str
    licence: str  # as its card says
    files: tuple[HubFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def is_reference(text: str) -> bool:
    return text.startswith(PREFIX)


def look_up(reference: str) -> HubModel:
    """Ask the hub what `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION` is.

    Raises InputError for another form, and CheckpointError where the hub has no such model, or none that loads.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise InputError(f"{reference!r} is not hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    repository, revision = found.groups()
    _require_package()
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=_endpoint()).model_info(repository, revision=revision, files_metadata=True)
    except Exception as error:  # of many kinds, the HTTP library's among them
        raise _told(repository, error) from error
    files = {
        each.rfilename: HubFile(each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else None, each.blob_id)
        for each in info.siblings or ()
    }
    licences = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    names = _names(files, repository)
    return HubModel(repository, info.sha or "", ", ".join(licences) or "not stated", tuple(files[n] for n in names))


def download(model: HubModel, directory: Path, report: Progress) -> None:
    """Bring all files of `model` to `directory`, going on with what is there, and compare them with the hub's hashes.

    Raises CheckpointError; a file that differs is removed, so that the next try fetches it anew.
    """
    _in_background(lambda: _fetch(model, directory), lambda: report("download", _size(directory), model.bytes))
    done = 0
    for file in model.files:
        report("check", done, model.bytes)
        path = directory / file.name
        if path.stat().st_size != file.bytes or not _is_as_known(path, file):
            path.unlink()
            raise CheckpointError(
                f"{model.repository}: {file.name} came damaged and was removed; fetch the model again"
            )
        done += file.bytes
    report("check", done, model.bytes)


def _names(files: dict[str, HubFile], repository: str) -> list[str]:
    """Return which of `files` make the model. Raises CheckpointError if none do."""
    for needed in _DESCRIBING[:2]:
        if needed not in files:
            raise CheckpointError(f"{repository} has no {needed}: it holds no model that Setfill reads")
    weights = [name for name in files if fnmatch(name, "model-*-of-*.safetensors")] if _INDEX in files else []
    if not weights:
        weights = [name for name in files if name.endswith(".safetensors") and "/" not in name]
        weights = ["model.safetensors"] if "model.safetensors" in weights else weights
    if len(weights) != 1 and _INDEX not in files:
        raise CheckpointError(
            f"{repository} has no safetensors weights (pickles are not loaded, for they can run any code); "
            "use a repository that has them"
        )
    return [name for name in (*_DESCRIBING, _INDEX, *sorted(weights)) if name in files]


def _fetch(model: HubModel, directory: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars, logging

    disable_progress_bars()  # `report` shows one
    logging.set_verbosity_error()  # that a dropped connection is taken up again is no news
    try:
        for file in model.files:
            hf_hub_download(
                model.repository, file.name, revision=model.commit, local_dir=directory, endpoint=_endpoint()
            )
    except Exception as error:
        raise _told(model.repository, error) from error


def _in_background(work: Callable[[], None], watch: Callable[[], None]) -> None:
    """Do `work` in a thread that does not keep the process alive, so that Ctrl-C ends it; call `watch` meanwhile."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_WATCH_S)
        watch()
    if failed:
        raise failed[0]


def _is_as_known(path: Path, file: HubFile) -> bool:
    if file.sha256 is not None:
        return file_sha256(path) == file.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id


def _size(directory: Path) -> int:
    sizes = []
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(place, name)).st_size)
            except OSError:  # moved meanwhile
                continue
    return sum(sizes)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _require_package() -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise CheckpointError(
            f"fetching from the hub needs the package huggingface_hub; run: {sys.executable} -m pip install "
            "huggingface_hub"
        )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def _told(repository: str, error: Exception) -> CheckpointError:
    """Return what the package's error means for whoever asked."""
    kind = type(error).__name__
    if kind == "GatedRepoError":
        advice = "its owners want their terms accepted first: do so on its page, then run: hf auth login"
    elif kind in ("RepositoryNotFoundError", "RevisionNotFoundError", "HFValidationError"):
        advice = "the hub has no such model or revision, or only for those who are logged in (hf auth login)"
    elif kind == "OfflineModeIsEnabled":
        advice = "HF_HUB_OFFLINE is set, so the hub is not asked"
    else:
        lines = str(error).strip().splitlines()
        advice = f"the hub could not be asked ({kind}: {lines[0] if lines else 'no more is known'}); try again later, "
        advice += "or bring the files here and run: setfill models import DIRECTORY --name NAME"
    return CheckpointError(f"{repository}: {advice}")
