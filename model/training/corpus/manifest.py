"""The packages a corpus is made of: names, pinned versions, licences. Knows TOML; fetches nothing.

[[package]]
kind = "pypi"              # pypi, npm or debian
name = "click"
version = "8.5.1"
licence = "BSD-3-Clause"   # SPDX; as the package declares it, checked where its metadata says otherwise
held_out = true            # the whole package is kept for validation
max_tokens = 2_000_000     # of it, at most
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from model.errors import InputError, cannot_read

DATA = Path(__file__).parents[1] / "data"
KINDS = ("pypi", "npm", "debian")
PERMISSIVE = (
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense",
    "Zlib",
)  # fmt: skip


@dataclass(frozen=True)
class Package:
    """One pinned package."""

    kind: str
    name: str
    version: str
    licence: str
    held_out: bool = False
    max_tokens: int = 800_000  # of it, at most; a sample of its files where it has more

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of {self.name} is none of {KINDS}")
        for part in self.licence.replace("(", "").replace(")", "").replace(" AND ", " OR ").split(" OR "):
            if part not in PERMISSIVE:
                raise ValueError(f"licence {part!r} of {self.name} is none of {PERMISSIVE}")


def read_manifest(path: Path) -> list[Package]:
    """Return the packages of a manifest. Raises InputError, naming what is wrong in it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the manifest {path}: {error}") from error
    known = {item.name for item in fields(Package)}
    packages = []
    for entry in data.get("package", []):
        try:
            if unknown := set(entry) - known:
                raise ValueError(f"unknown key {sorted(unknown)[0]!r} of {entry.get('name')}")
            packages.append(Package(**entry))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
    _check_names(path, packages)
    return packages


def manifest_path(name: str) -> Path:
    """Return the manifest called `name`: `full`, `small`, or a path."""
    return {"full": DATA / "manifest.toml", "small": DATA / "manifest_small.toml"}.get(name, Path(name))


def _check_names(path: Path, packages: Sequence[Package]) -> None:
    names = [package.name for package in packages]
    if not names:
        raise InputError(f"{path} names no packages")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path} names {name} twice")
