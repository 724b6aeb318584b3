"""What git knows: the root of a work tree, where a branch began, what has changed since, and files of a commit.

Asks the program `git`, so that its configuration, attributes and filters count as
they do for whoever made the change; what would run other programs, or change the
form of a diff, is turned off. Knows no diff formats.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lint.diffs import MAX_DIFF_BYTES
from model.errors import InputError

_SETTINGS = (
    "core.fsmonitor=false", f"core.hooksPath={os.devnull}", "diff.relative=false", "core.quotePath=true",
    "diff.suppressBlankEmpty=false",
)  # fmt: skip
_DIFF = (
    "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3",
    "--inter-hunk-context=0", "--find-renames", "--submodule=short", "--ignore-submodules=dirty",
    "--diff-algorithm=default", f"-O{os.devnull}",
)  # fmt: skip
_LITERAL = "--literal-pathspecs"
_NEVER = ("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_TRACE")  # and what begins like them
_SHALLOW = (
    "this clone is shallow, so that git cannot tell where the change began: fetch the whole history first, as "
    "`fetch-depth: 0` does for actions/checkout, GIT_DEPTH: 0 for GitLab and git fetch --unshallow by hand"
)


@dataclass(frozen=True)
class Base:
    """What a change is compared with: `tip` is the commit that was named, `began` where the change left it."""

    ref: str
    tip: str
    began: str


@dataclass(frozen=True)
class Repository:
    """A work tree of git's."""

    root: Path  # without links

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """Return the repository that `folder` lies in. InputError when there is none, or no git."""
        found = _git(folder, "rev-parse", "--show-toplevel")
        if found.returncode or not found.stdout:
            raise InputError(f"--base needs a git repository, and there is none here ({_complaint(found)})")
        return cls(Path(os.fsdecode(found.stdout.rstrip(b"\n"))).resolve())

    def base(self, ref: str) -> Base:
        """Return what a change is compared with when `ref` is named. InputError when there is no such thing."""
        if ref.startswith("-") or not ref.strip():
            raise InputError(f"{ref!r} is no name of a commit or branch")
        if ref == "HEAD" and self._commit(ref) is None and self._is_new():  # all that there will be is a change
            nothing = _git(self.root, "hash-object", "-t", "tree", "--stdin").stdout.decode().strip()
            return Base(ref, nothing, nothing)
        tip = self._commit(ref)
        if tip is None:
            why = _SHALLOW if self._is_shallow() else "fetch it, or give another, as in --base origin/main"
            raise InputError(f"git knows no commit that is called {ref!r}: {why}")
        if self._commit("HEAD") is None:
            raise InputError("this repository has no commit yet: there is nothing to compare with")
        began = _git(self.root, "merge-base", tip, "HEAD")
        if began.returncode:
            why = _SHALLOW if self._is_shallow() else "give a branch that this one began at"
            raise InputError(f"{ref!r} and what is checked out have no commit in common: {why}")
        return Base(ref, tip, began.stdout.decode().split()[0])

    def diff(self, base: Base, paths: Sequence[str] = ()) -> bytes:
        """Return the diff from where a change began to the work tree, of `paths` only if there are any.

        A byte more than is looked at (`MAX_DIFF_BYTES`), if it is longer.
        """
        command = _command(self.root, *_DIFF, base.began, "--", *paths)
        with (
            tempfile.TemporaryFile() as complaint,
            subprocess.Popen(
                command, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint
            ) as process,
        ):
            assert process.stdout is not None
            data = process.stdout.read(MAX_DIFF_BYTES + 1)
            if len(data) > MAX_DIFF_BYTES:
                process.kill()
            elif process.wait():
                complaint.seek(0)
                raise InputError(f"git cannot tell what changed: {_first_line(complaint.read())}")
        return data

    def untracked(self, paths: Sequence[str] = ()) -> int:
        """Return how many files git neither tracks nor ignores, which no diff shows."""
        found = _git(self.root, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
        return found.stdout.count(b"\0")

    def content(self, commit: str, path: str) -> bytes | None:
        """Return a file as it is in a commit, None when it is not there."""
        found = _git(self.root, "cat-file", "blob", f"{commit}:{path}")
        return None if found.returncode else found.stdout

    def ignores(self, path: str) -> bool:
        """Whether git is told to take no notice of a file."""
        command = [each for each in _command(self.root, "check-ignore", "-z", "--stdin") if each != _LITERAL]
        asked = path.encode("utf-8", errors="surrogateescape") + b"\0"  # names that are read are literal anyway
        return (
            subprocess.run(command, env=_environment(), input=asked, capture_output=True, check=False).returncode == 0
        )

    def _commit(self, ref: str) -> str | None:
        found = _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        name = found.stdout.decode(errors="replace").strip()
        return name if not found.returncode and re.fullmatch(r"[0-9a-f]{40,64}", name) else None

    def _is_new(self) -> bool:
        """Whether nothing has been committed to the branch that is checked out."""
        return not _git(self.root, "symbolic-ref", "--quiet", "HEAD").returncode

    def _is_shallow(self) -> bool:
        return _git(self.root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def root_around(folder: Path) -> Path:
    """Return the root of the work tree that `folder` lies in, or `folder`; asks no git."""
    folder = folder.resolve()
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            _command(folder, *arguments), env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise InputError(
            "--base asks the program git, which is not installed: install it, or give a diff on standard input"
        ) from None


def _command(folder: Path, *arguments: str) -> list[str]:
    settings = [each for setting in _SETTINGS for each in ("-c", setting)]
    return ["git", "--no-pager", _LITERAL, "-C", str(folder), *settings, *arguments]


def _environment() -> dict[str, str]:
    """Return our environment without what changes git's words, shows its pages or runs programs for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NEVER)}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    return _first_line(done.stderr)


def _first_line(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    first = lines[0].removeprefix("fatal: ") if lines else "it did not say why"
    if "dubious ownership" in first:  # in containers, where the work tree belongs to another user
        first += "; git config --global --add safe.directory FOLDER has git trust it"
    return first
