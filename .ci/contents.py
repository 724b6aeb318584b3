"""Compare what was built with what is in the repository: `python .ci/contents.py DIST`, in a clone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = ("grammars", "lint", "lsp_server", "model", "setfill")
OTHERS = (".ci", "benchmarks", "docs", "editors", "tests")  # in the source distribution only
HASHES = "model/training/data/blocked_13grams.u64"  # a megabyte that only the building of a corpus needs
LARGEST_WHEEL_BYTES = 1_000_000


def main(dist: Path) -> None:
    [wheel], [source] = dist.glob("setfill-*.whl"), dist.glob("setfill-*.tar.gz")
    tracked = set(subprocess.check_output(["git", "ls-files"], text=True).splitlines())
    in_packages = {name for name in tracked if name.split("/")[0] in PACKAGES}
    in_others = {name for name in tracked if name.split("/")[0] in OTHERS}

    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    check("the wheel", in_wheel, in_packages - {HASHES})
    assert wheel.stat().st_size < LARGEST_WHEEL_BYTES, f"the wheel has {wheel.stat().st_size} bytes"
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: gguf")]
    assert all("extra ==" in line for line in needed), f"gguf is for those who ask for it: {needed}"
    for label in ("Homepage", "Documentation", "Issues", "Changelog"):
        assert f"Project-URL: {label}, https://" in metadata, f"the wheel has no URL for {label}"

    with tarfile.open(source) as archive:
        in_source = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    top = {name for name in tracked if "/" not in name and not name.startswith(".")}
    made = {name for name in in_source if name in ("PKG-INFO", "setup.cfg") or ".egg-info/" in name}
    check("the source distribution", in_source - made, in_packages | in_others | top)
    print(f"{wheel.name} has the packages' {len(in_wheel)} files, {source.name} {len(in_source)}")


def check(what: str, found: set[str], expected: set[str]) -> None:
    missing, surplus = sorted(expected - found), sorted(found - expected)
    assert not missing + surplus, f"{what} lacks {missing} and has {surplus} besides"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
