"""Getting packages with their registry's ordinary client, and reading the files in them. Runs no package code.

* PyPI: wheels, not source distributions. A wheel holds the same `.py` files and
  is only unpacked; `pip download` of a source distribution runs its build
  back end to learn its metadata.
* npm: `npm pack`, which fetches the published archive and runs no scripts.
* Debian: `apt-get download`; the archive is read, not installed.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from model.errors import InputError
from model.training.corpus.manifest import Package

MAX_FILE_BYTES = 400_000
_CLIENT_SECONDS = 600

# Wheels with compiled parts are taken for the platform that most have; only their text is read.
_PYPI_TARGET = ["--python-version", "3.14.9", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64"]
_PYPI_OLDER = ["--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux2014_x86_64"]


def fetch(package: Package, cache: Path) -> Path:
    """Return the package's archive, downloaded into `cache` unless it is there. Raises InputError."""
    cache = cache.absolute()  # clients run in a folder of their own
    directory = cache / f"{package.kind}-{package.name.replace('/', '-').replace('@', '')}-{_file_version(package)}"
    if not directory.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(package, Path(scratch))
            target = Path(scratch) / "whole"
            target.mkdir()
            for path in Path(scratch).iterdir():
                if path.is_file():
                    path.rename(target / path.name)
            try:
                target.rename(directory)
            except OSError:
                if not directory.exists():  # it does when another process was quicker
                    raise
    archives = [path for path in directory.iterdir() if path.is_file()]
    if len(archives) != 1:
        raise InputError(f"{directory} should hold one archive; delete it and try again")
    return archives[0]


def declared_licence(archive: Path) -> str:
    """Return what the metadata of a wheel or npm archive says of its licence; empty if there is none (Debian's)."""
    for path, content in files_in(archive):
        if path.endswith(".dist-info/METADATA"):
            header = content.decode("utf-8", "replace").partition("\n\n")[0]
            said = re.findall(
                r"^(?:License-Expression|License|Classifier: License ::)(?!-):? *(.{,80})", header, re.MULTILINE
            )
            return "; ".join(said)
        if path == "package/package.json":
            return str(json.loads(content).get("license", ""))
    return ""


def files_in(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the regular files in an archive, at most `MAX_FILE_BYTES` long, in a stable order."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for entry in sorted(zipped.infolist(), key=lambda info: info.filename):
                if not entry.is_dir() and entry.file_size <= MAX_FILE_BYTES:
                    yield entry.filename, zipped.read(entry)
    elif archive.suffix == ".deb":
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        content = subprocess.run(command, check=True, capture_output=True, timeout=_CLIENT_SECONDS).stdout
        yield from _tar_files(io.BytesIO(content))
    else:
        # Unpacked whole: by name means out of order, and every seek backwards would unpack from the start.
        yield from _tar_files(io.BytesIO(gzip.decompress(archive.read_bytes())))


def _tar_files(content: io.BytesIO) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=content) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if member.isfile() and member.size <= MAX_FILE_BYTES and (file := tar.extractfile(member)):
                yield str(PurePosixPath(member.name)), file.read()


def _download(package: Package, scratch: Path) -> None:
    match package.kind:
        case "pypi":
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            wanted = ["--only-binary", ":all:", "--dest", str(scratch), f"{package.name}=={package.version}"]
            commands = [[*pip, *target, *wanted] for target in (_PYPI_TARGET, _PYPI_OLDER)]
        case "npm":
            spec = f"{package.name}@{package.version}"
            commands = [["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(scratch), spec]]
        case _:
            commands = [["apt-get", "download", "-qq", f"{package.name}={package.version}"]]
    if shutil.which(commands[0][0]) is None:
        raise InputError(f"{commands[0][0]} is not installed; it is needed for {package.name}")
    complaint = ""
    for command in commands:
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_CLIENT_SECONDS)
        except subprocess.TimeoutExpired:
            complaint = f"no answer in {_CLIENT_SECONDS} seconds"
            continue
        if done.returncode == 0:
            return
        complaint = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}"
    raise InputError(f"cannot download {package.name} {package.version}: {complaint}")


def _file_version(package: Package) -> str:
    return package.version.replace(":", "_").replace("~", "_")
