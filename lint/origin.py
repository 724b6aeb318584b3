"""Where a patch comes from, and which of its project's files may say how it is looked at.

A patch must not switch off its own check. So where it is compared with a commit,
settings and baseline are read from that commit, and comments that the patch itself
adds silence nothing, unless whoever asks trusts the patch. Where there is no such
commit, the files of the work tree count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lint.baseline import Baseline, read_baseline
from lint.diffs import MAX_DIFF_BYTES, read_diff
from lint.records import Patch, Rule
from lint.repository import Base, Repository, root_around
from lint.settings import Settings, read_settings, say_the_same
from lint.work_tree import Wanted, changed_files, whole_files
from model.errors import InputError, cannot_read

_MAX_SETTINGS_BYTES = 2**24


@dataclass(frozen=True)
class Origin:
    """A work tree, and the commit that it is compared with, if any."""

    root: Path  # without links
    repository: Repository | None = None
    base: Base | None = None
    trusts_patch: bool = True

    @classmethod
    def of_files(cls, root: Path | None) -> Origin:
        """Return the origin of files or of a diff that was made elsewhere, below `root` or around where we are."""
        return cls(_folder(root) if root else root_around(Path.cwd()))

    @classmethod
    def of_base(cls, root: Path | None, ref: str, trusts_patch: bool) -> Origin:
        """Return the origin of what has changed since the work tree left `ref`. InputError when that can't be told."""
        repository = Repository.around(_folder(root) if root else Path.cwd())
        return cls(repository.root, repository, repository.base(ref), trusts_patch)

    def settings(self, rules: Iterable[Rule]) -> Settings:
        """Return what the project wants. InputError for what is wrong in its files."""
        return read_settings(self._trusted_content, list(rules))

    def baseline(self, path: Path) -> Baseline:
        """Return the findings that a file knows, `path` being absolute. InputError for one that is none, or not there.

        A file of the work tree is read as it is in the commit that the patch is compared with.
        """
        if self._is_untrusted and path.is_relative_to(self.root):
            assert self.base
            name = path.relative_to(self.root).as_posix()
            content = self._trusted_content(name)
            if content is None:  # the patch brings it: nothing is known yet
                return Baseline()
            return read_baseline(content, f"{name} of {self.base.ref}")
        content = _bounded_content(path)
        if content is None:
            raise InputError(f"there is no baseline {path}: write one with --write-baseline")
        return read_baseline(content, str(path))

    def notes(self) -> list[str]:
        """Return a sentence for each thing that may surprise whoever asked."""
        if self.base is None or self.repository is None:
            return []
        told = []
        if self._is_untrusted and not say_the_same(self._trusted_content, self._content_here):
            told.append(f"the settings of {self.base.ref} count here, which are others; --trust-patch takes yours")
        if untracked := self.repository.untracked():
            told.append(f"untracked files were not looked at ({untracked}): git add -N makes them part of the change")
        return told

    def changes(self, paths: Sequence[str], wanted: Wanted) -> Patch:
        """Return what has changed since the base, in `paths` only if there are any."""
        assert self.repository
        assert self.base
        return self.diffed(self.repository.diff(self.base, [self.inside(path) for path in paths]), wanted)

    def diffed(self, diff: bytes, wanted: Wanted) -> Patch:
        """Return what a diff changes in the work tree."""
        files, notes = read_diff(diff)
        return changed_files(self.root, files, wanted, (*notes, *self.notes()))

    def files(self, paths: Sequence[str], wanted: Wanted) -> Patch:
        """Return files by their names, all their lines counting as added."""
        return whole_files(self.root, [self.inside(path) for path in paths], wanted)

    def inside(self, name: str) -> str:
        """Return a name, as it is given where we are, as a path below the root. InputError for one outside."""
        path = Path(os.path.abspath(name))
        for each in (path, path.parent.resolve() / path.name):  # the way here may lead over links
            if each.is_relative_to(self.root):
                return each.relative_to(self.root).as_posix()
        raise InputError(f"{name} is outside of {self.root}: give a folder around it with --root")

    @property
    def _is_untrusted(self) -> bool:
        return self.base is not None and not self.trusts_patch

    def _trusted_content(self, name: str) -> bytes | None:
        if self._is_untrusted:
            assert self.repository
            assert self.base
            return self.repository.content(self.base.tip, name)
        return self._content_here(name)

    def _content_here(self, name: str) -> bytes | None:
        return _bounded_content(self.root / name)


def read_bounded_diff(path: Path) -> bytes:
    """Return the bytes of a diff, or one more than is looked at. InputError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_DIFF_BYTES + 1)
    except OSError as error:
        raise cannot_read(path, error) from None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is no folder: give the one that the names in the diff begin in")
    return path.resolve()


def _bounded_content(path: Path) -> bytes | None:
    """Return what a file of settings holds, None when there is none."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(_MAX_SETTINGS_BYTES + 1)
    except OSError as error:
        raise cannot_read(path, error) from None
    if len(data) > _MAX_SETTINGS_BYTES:
        raise InputError(f"{path} is larger than {_MAX_SETTINGS_BYTES // 2**20} MiB")
    return data
