"""What git is asked, in the repositories that people and machines have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lint.diffs import read_diff
from lint.origin import Origin
from lint.repository import Repository, root_around
from model.errors import InputError
from tests.lint.conftest import Git


def check_refused(root: Path, ref: str, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        Repository.around(root).base(ref)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def changed(git: Git, ref: str, *paths: str) -> list[tuple[str, list[int]]]:
    """Return the names and added lines of what has changed."""
    patch = Origin.of_base(git.root, ref, trusts_patch=False).changes(paths, lambda path: True)
    return [(file.path, sorted(file.added)) for file in patch.files]


def test_what_changed_since_a_branch_began(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed, staged and not; what happened on the other branch meanwhile is not part of it."""
    monkeypatch.chdir(git.root)
    git.commit(a="a\n", b="b\n", c="c\n")
    git("checkout", "-q", "-b", "topic")
    git.commit(a="A\n")
    git("checkout", "-q", "main")
    git.commit(c="C\n")
    git("checkout", "-q", "topic")
    git.write(b="B\n", new="n\n")
    git("add", "b")
    git.write(b="B\nB\n")
    assert changed(git, "main") == [("a", [1]), ("b", [1, 2])]
    assert changed(git, "HEAD") == [("b", [1, 2])]
    assert changed(git, "main", "a") == [("a", [1])]
    assert Origin.of_base(git.root, "main", trusts_patch=False).notes() == [
        "untracked files were not looked at (1): git add -N makes them part of the change"
    ]
    git("add", "-N", "new")
    assert changed(git, "HEAD") == [("b", [1, 2]), ("new", [1])]
    assert Repository.around(git.root).base("main").began == Repository.around(git.root).base("topic~1").tip


HOSTILE = {
    "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "color.ui": "always", "diff.external": "false",
    "core.pager": "false", "diff.renames": "false", "diff.context": "0", "diff.interHunkContext": "99",
    "diff.orderFile": "/nonexistent", "diff.relative": "true", "diff.submodule": "log", "core.quotePath": "false",
    "diff.suppressBlankEmpty": "true", "diff.colorMoved": "zebra", "diff.algorithm": "patience",
    "core.fsmonitor": "false",
    "diff.wsErrorHighlight": "all", "diff.srcPrefix": "old/", "diff.dstPrefix": "new/", "diff.drv.textconv": "false",
    "diff.drv.command": "false", "alias.diff": "!false", "diff.statNameWidth": "3",
}  # fmt: skip


def test_the_configuration_of_whoever_runs_it_changes_nothing(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"{n}\n\n" for n in range(20))
    git.commit(**{"sub_in_näme__py": text, "__gitattributes": "*.py diff=drv\n"})
    git("mv", "sub/näme.py", "sub/other.py")
    git.write(sub_in_other__py=text.replace("7\n", "seven\n"))
    base = Repository.around(git.root).base("HEAD")
    plain = Repository.around(git.root).diff(base)
    assert b"rename to" in plain
    for name, value in HOSTILE.items():
        git("config", name, value)
    for name, value in {
        "GIT_EXTERNAL_DIFF": "false", "GIT_PAGER": "false", "GIT_DIFF_OPTS": "-u0", "LC_ALL": "de_DE.UTF-8",
        "GIT_TRACE": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(git.root / "sub")
    assert Repository.around(Path.cwd()).diff(base) == plain
    [file] = read_diff(plain)[0]
    assert (file.path, file.old_path) == ("sub/other.py", "sub/näme.py")


def test_nothing_of_the_repository_is_run(git: Git, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\nexec cat\n")
    script.chmod(0o755)
    git.commit(a="a\n", __gitattributes="* diff=drv\n")
    git.write(a="b\n")
    for name in (
        "core.fsmonitor",
        "diff.external",
        "diff.drv.command",
        "diff.drv.textconv",
        "core.pager",
        "pager.diff",
    ):
        git("config", name, str(script))
    for hook in (git.root / ".git" / "hooks" / name for name in ("post-index-change", "pre-commit")):
        hook.parent.mkdir(exist_ok=True)
        script_copy = hook
        script_copy.write_text(script.read_text())
        script_copy.chmod(0o755)
    assert changed(git, "HEAD") == [("a", [1])]
    assert not (tmp_path / "was-run").exists()
    git("diff", "HEAD")  # it would have been
    assert (tmp_path / "was-run").exists()


def test_before_the_first_commit_all_is_new(git: Git) -> None:
    git.write(a="a\n", b="b\n")
    git("add", "a")
    assert changed(git, "HEAD") == [("a", [1])]
    check_refused(git.root, "main", "git knows no commit that is called 'main'")


def test_what_cannot_be_told(git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = git.commit(a="a\n")
    for ref in ("-x", "--output=stolen", "--", ""):
        check_refused(git.root, ref, "is no name of a commit or branch")
    for ref in ("nowhere", "HEAD:a", "HEAD..main", "HEAD^2", "a b", ":/x", "\u00e9"):
        check_refused(git.root, ref, "git knows no commit that is called")
    assert not (git.root / "stolen").exists()
    git("checkout", "-q", "--orphan", "other")
    check_refused(git.root, "main", "this repository has no commit yet")
    git.commit(b="b\n")
    check_refused(git.root, "main", "'main' and what is checked out have no commit in common: give a branch")
    outside = tmp_path / "outside"
    outside.mkdir()
    check_refused(outside, "main", "--base needs a git repository, and there is none here (not a git repository")
    bare = tmp_path / "bare"
    git("clone", "-q", "--bare", str(git.root), str(bare))
    check_refused(bare, "main", "this operation must be run in a work tree")
    git("checkout", "-q", "main")
    assert Repository.around(git.root).base(first[:9]).tip == first
    monkeypatch.setenv("PATH", str(outside))
    check_refused(git.root, "main", "asks the program git, which is not installed")


def test_a_shallow_clone_is_told_what_it_lacks(git: Git, tmp_path: Path) -> None:
    """As actions/checkout makes it: one commit, and no branch but its own."""
    git.commit(a="a\n")
    git("checkout", "-q", "-b", "topic")
    git.commit(a="b\n")
    git("checkout", "-q", "main")
    git.commit(b="b\n")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", "--branch=topic", f"file://{git.root}", str(clone)], check=True)
    check_refused(clone, "origin/main", "this clone is shallow")
    subprocess.run(["git", "fetch", "-q", "--depth=1", "origin", "main:main"], cwd=clone, check=True)
    check_refused(clone, "main", "fetch-depth: 0")
    subprocess.run(["git", "fetch", "-q", "--unshallow", "origin"], cwd=clone, check=True)
    assert Repository.around(clone).base("main").began == git("rev-parse", "main~1").decode().strip()


def test_the_root_of_a_work_tree(git: Git, tmp_path: Path) -> None:
    git.commit(sub_in_a="a\n")
    assert root_around(git.root / "sub") == git.root
    git("worktree", "add", "-q", str(tmp_path / "second"))
    assert root_around(tmp_path / "second" / "sub") == tmp_path / "second"
    lone = tmp_path / "lone"
    lone.mkdir()
    assert root_around(lone) == lone
    (tmp_path / "link").symlink_to(git.root)
    assert root_around(tmp_path / "link" / "sub") == git.root


def test_many_complaints_of_git_do_not_block(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    """git warns of each file with other line breaks, and waits until somebody reads that."""
    git.commit(**{f"{'long' * 40}{n}": "a\n" for n in range(500)})
    git("config", "core.autocrlf", "true")
    git("config", "core.safecrlf", "warn")
    git.write(**{f"{'long' * 40}{n}": "b\n" for n in range(500)})
    diff = Repository.around(git.root).diff(Repository.around(git.root).base("HEAD"))
    assert diff.count(b"diff --git") == 500
    assert os.environ["GIT_CONFIG_GLOBAL"] == os.devnull
