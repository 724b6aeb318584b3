"""Diffs as git and others write them, and what they say of the files of a work tree."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint import diffs, work_tree
from lint.diffs import read_diff
from lint.records import ChangedFile, Patch
from lint.work_tree import changed_files
from model.errors import InputError
from tests.lint.conftest import Git


def looked_at(diff: bytes | str, root: Path) -> Patch:
    files, notes = read_diff(diff if isinstance(diff, bytes) else diff.encode())
    return changed_files(root, files, lambda path: True, notes)


def check_refused(diff: bytes | str, root: Path, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        looked_at(diff, root)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def only(patch: Patch) -> ChangedFile:
    [file] = patch.files
    assert patch.notes == ()
    return file


@dataclass
class Change:
    """A change of one file, from one commit to another."""

    git: Git
    before: bytes
    after: bytes

    def diff(self, *options: str, name: str = "app.py") -> bytes:
        (self.git.root / name).write_bytes(self.before)
        self.git.commit()
        (self.git.root / name).write_bytes(self.after)
        self.git.commit()
        return self.git("diff", *options, "HEAD~1", "HEAD")


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n", {2}),
        (b"a\nb\nc\n", b"a\nc\n", set()),
        (b"a\nb", b"a\nB", {2}),
        (b"a\nb", b"a\nb\n", {2}),
        (b"a\nb\n", b"a\nb", {2}),
        (b"a\r\nb\r\n", b"a\r\nB\r\n", {2}),
        (b"a\r\nb\r\n", b"a\nb\n", {1, 2}),
        (b"a\rb\nc\n", b"a\rb\nC\n", {2}),
        (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfA\nb\n", {1}),
        (b"\xef\xbb\xbfa\n", b"a\n", {1}),
        (b"-- a\n++ b\n@@ -1 +1 @@\n", b"-- A\n++ B\n@@ -1 +1 @@ x\ndiff --git a/x b/x\n", {1, 2, 3, 4}),
        (b"\n\n\nx\n\n\n", b"\n\n\ny\n\n\n", {4}),
        ("".join(f"{n}\n" for n in range(99)).encode(), "".join(f"{n}\n" for n in range(99) if n % 20).encode(), set()),
        (b"a\x0cb\nc\n", "a\x0cb\u2028\nC\n".encode(), {1, 2}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "options", [(), ("-U0",), ("-U99",), ("--no-prefix",), ("--src-prefix=old/", "--dst-prefix=new/")]
)
def test_a_change_of_a_file(git: Git, before: bytes, after: bytes, added: set[int], options: tuple[str, ...]) -> None:
    """What the diff says is what git made it of, in every form of the header, and with any number of lines around."""
    file = only(looked_at(Change(git, before, after).diff(*options), git.root))
    assert (file.path, file.old_path) == ("app.py", None)
    assert file.text.encode() == after.removeprefix(b"\xef\xbb\xbf")
    assert (file.before or "").encode() == before.removeprefix(b"\xef\xbb\xbf")
    assert file.added == added
    assert file.added <= file.shown


NAMES = [
    "b b/b", "a/b/a b/b", "na\u00efve \U0001f40d.py", 'quo"te', "tab\tname", "new\nline", "back\\slash", "x y x y",
    "-x", "b/x",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options", [(), ("--no-prefix",), ("-c", "diff.mnemonicPrefix=true"), ("-c", "core.quotePath=false")]
)
def test_names_that_are_not_plain(git: Git, name: str, options: tuple[str, ...]) -> None:
    """unidiff took `b b/b` for two names, and what git quotes as it stands."""
    path = git.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for content in ("a\nb\n", "a\nc\n"):
        path.write_text(content)
        git.commit()
    configured = options if options[:1] == ("-c",) else ()
    rest = () if configured else options
    for first, added in (("HEAD~1", {2}), ("4b825dc642cb6eb9a060e54bf8d69288fbee4904", {1, 2})):  # and the empty tree
        diff = git(*configured, "diff", *rest, first)
        file = only(looked_at(diff, git.root))
        assert (file.path, file.text, file.added) == (name, "a\nc\n", added)


@pytest.mark.parametrize("name", NAMES)
def test_renamed_copied_deleted_and_of_another_mode(git: Git, name: str) -> None:
    old, new, kept = (git.root / each / name for each in ("old", "new", "kept"))
    for path in (old, new, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"line {n}\n" for n in range(30))
    old.write_text(text)
    kept.write_text("x\n")
    git.commit()
    old.rename(new)
    new.write_text(text.replace("line 7\n", "line seven\n"))
    kept.chmod(0o755)
    git.commit()
    renamed, mode = sorted(looked_at(git("diff", "HEAD~1"), git.root).files, key=lambda file: file.path, reverse=True)
    assert (renamed.path, renamed.old_path, renamed.added) == (f"new/{name}", f"old/{name}", {8})
    assert renamed.before == text
    assert (mode.path, mode.added, mode.before, mode.text) == (f"kept/{name}", set(), "x\n", "x\n")

    copy = git.root / "copy"
    copy.write_text(text)
    git.commit()
    copied = only(looked_at(git("diff", "--find-copies-harder", "-C10%", "HEAD~1"), git.root))
    assert (copied.path, copied.old_path, copied.added) == ("copy", f"new/{name}", {8})
    assert copied.before == new.read_text()

    new.unlink()
    git.commit()
    patch = looked_at(git("diff", "HEAD~1"), git.root)
    assert patch.files == ()
    assert [note.endswith("not looked at, as it was deleted") for note in patch.notes] == [True]


def test_what_is_no_text_is_told_and_not_looked_at(git: Git) -> None:
    git.commit(image=b"\0\1", latin="a\n", app__py="x\n", large="x\n", link_in_x="x\n")
    other = Git(git.root.parent / "other")
    other.commit(x="x")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "module")
    git.write(image=b"\0\2", latin=b"\xe9\n", app__py="y\n", large="x\n" * 600_000)
    (git.root / "pointer").symlink_to("/etc/passwd")
    git.commit()
    for options in ((), ("--binary",)):
        patch = looked_at(git("diff", *options, "HEAD~1"), git.root)
        assert [file.path for file in patch.files] == [".gitmodules", "app.py"]
        assert set(patch.notes) == {
            "image: not looked at, as it is binary",
            "latin: not looked at, as it is not UTF-8",
            "large: not looked at, as it is larger than 1024 KiB",
            "module: not looked at, as it is a submodule",
            "pointer: not looked at, as it is a symbolic link",
        }


def test_many_files_are_bounded_and_the_rest_told(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    git.commit()
    git.commit(**{f"file{n}": "x\n" for n in range(8)})
    diff = git("diff", "HEAD~1")
    monkeypatch.setattr(work_tree, "MAX_FILES", 3)
    patch = looked_at(diff, git.root)
    assert [file.path for file in patch.files] == ["file0", "file1", "file2"]
    [note] = patch.notes
    assert note == "file3, file4, file5 and 2 more: not looked at, as each comes after the first 3 files"
    monkeypatch.setattr(diffs, "MAX_DIFF_BYTES", len(diff) // 2)
    files, notes = read_diff(diff)
    assert 0 < len(files) < 8
    assert notes == ("only the first 0 MiB of the diff were looked at",)
    monkeypatch.setattr(diffs, "MAX_DIFF_BYTES", 50)
    check_refused(diff, git.root, "the diff is larger than")


def test_combined_diffs_are_refused(git: Git) -> None:
    git.commit(x="a\nb\nc\n")
    git("checkout", "-q", "-b", "side")
    git.commit(x="a\nside\nc\n")
    git("checkout", "-q", "main")
    git.commit(x="a\nmain\nc\n")
    subprocess.run(["git", "merge", "-q", "side"], cwd=git.root, capture_output=True, check=False)
    conflict = git("diff")
    assert conflict.startswith(b"diff --cc")
    for diff in (conflict, git("diff", "-c")):
        check_refused(diff, git.root, "combined diff of a merge cannot be looked at: compare with one side")


def test_what_is_no_diff_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a\n")
    assert looked_at("", tmp_path) == looked_at(" \n\n", tmp_path) == Patch(())
    header = "--- a/x\n+++ b/x\n"
    for text, expected in [
        ("hello\n", "there is no unified diff in the input: give that of git diff"),
        ("\x1b[1mdiff --git a/x b/x\x1b[m\n", "it is coloured; give that of git diff --no-color"),
        (header + "@@ -1,2 +1,2 @@\n a\n", "cannot be read (hunk is shorter than expected)"),
        (header + "@@ -1 +1 @@\n-secret\n+a\n+b: c\n*\n@@ -1 +1 @@\n", "cannot be read"),
        (header + f"@@ -{'1' * 9999} +1 @@\n a\n", "a line number is too long"),
        (header + "@@ -1 +1 @@\nx: secret\n", "cannot be read (hunk diff line expected): give"),
        ("@@ -1 +1 @@\n-a\n+b\n", "cannot be read"),
        ("diff --git nonsense\n@@ -1 +1 @@\n-a\n+b\n", "a header without names"),
        ("+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "cannot be read (target without source)"),
        (header + "@@ -1 +1 @@\n-a\n+b\n", "x is not what the diff leads to: line 1 differs"),
        (header + "@@ -1 +0,3 @@\n-a\n+b\n+a\n+b\n", "x is not what the diff leads to"),
        (header + "@@ -9 +9 @@\n-b\n+a\n", "it has 1 lines, and the diff one after line 8"),
        (header + "@@ -1 +1 @@\n-b\n+a\n@@ -1 +1 @@\n-b\n+a\n", "x is not what the diff leads to"),
        (header.replace("x", "y") + "@@ -1 +1 @@\n-a\n+b\n", "cannot read y, which the diff changes: No such file"),
    ]:
        check_refused(text, tmp_path, expected)


def test_the_source_of_a_broken_diff_is_not_told() -> None:
    with pytest.raises(InputError) as refused:
        read_diff(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\nx: secret\n")
    assert "x" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "..",
        ".git/config",
        "sub/.GIT/config",
        "C:/x",
        "C:\\x",
        "\\\\host\\x",
        "a\0b",
        "",
    ],
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read: not even to say that it differs."""
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "x").write_text("a\n")
    for folder in (root / ".git", root / "sub" / ".GIT"):
        folder.mkdir(parents=True)
        (folder / "config").write_text("a\n")
    opened: list[object] = []
    monkeypatch.setattr(Path, "read_bytes", opened.append)
    body = "@@ -0,0 +1 @@\n+a\n"
    quoted = '"' + name.replace("\\", "\\\\").replace("\0", "\\000") + '"'
    for diff in [
        f"--- {name}\n+++ {name}\n{body}",
        f"--- a/{quoted[1:-1]}\n+++ b/{quoted[1:-1]}\n{body}",
        f"--- /dev/null\n+++ {quoted}\n{body}",
        f"diff --git a/y b/y\nrename from y\nrename to {quoted}\n--- a/y\n+++ b/y\n{body}",
        f"diff --git a/y b/y\nrename from {quoted}\nrename to y\n--- a/y\n+++ b/y\n{body}",
    ]:
        with pytest.raises(InputError) as refused:
            looked_at(diff, root)
        assert "differs" not in str(refused.value)
    assert opened == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("a\n")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(tmp_path / "outside" / "x")
    (root / "loop").symlink_to("loop")
    for name in ("folder/x", "file", "loop", "loop/x"):
        patch = looked_at(f"--- a/{name}\n+++ b/{name}\n@@ -0,0 +1 @@\n+a\n", root)
        assert patch.files == ()
        assert patch.notes == (f"{name}: not looked at, as it is a symbolic link, or lies beyond one",)
    os.mkfifo(root / "pipe")
    patch = looked_at("--- a/pipe\n+++ b/pipe\n@@ -0,0 +1 @@\n+a\n", root)
    assert patch.notes == ("pipe: not looked at, as it is no regular file",)


def test_diffs_of_other_programs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.py").write_text("a\nnew\n")
    body = "@@ -1,2 +1,2 @@\n a\n-old\n+new\n"
    for header in [
        "--- old/sub/x.py\t2026-01-01 00:00:00.000 +0000\n+++ new/sub/x.py\t2026-01-02 00:00:00.000 +0000\n",
        "diff -ru old/sub/x.py new/sub/x.py\n--- old/sub/x.py\t2026\n+++ new/sub/x.py\t2026\n",
        "Index: sub/x.py\n=======\n--- sub/x.py\t(revision 1)\n+++ sub/x.py\t(working copy)\n",
        "--- sub/x.py\n+++ sub/x.py\n",
        "From 1234 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\n--- a word\n---\n sub/x.py | 2 +-\n\n"
        "diff --git a/sub/x.py b/sub/x.py\nindex 12..34 100644\n--- a/sub/x.py\n+++ b/sub/x.py\n",
    ]:
        for text in (header + body, header + body + "-- \n2.39.5\n\n", (header + body).replace("\n", "\r\n")):
            file = only(looked_at(text, tmp_path))
            assert (file.path, file.before, file.added) == ("sub/x.py", "a\nold\n", {2})
    for encoding in ("utf-16", "utf-8-sig"):  # as a PowerShell redirects it
        assert only(looked_at(("--- sub/x.py\n+++ sub/x.py\n" + body).encode(encoding), tmp_path)).added == {2}
    without_last_break = b"--- sub/x.py\n+++ sub/x.py\n@@ -1,2 +1 @@\n a\n-old"
    (tmp_path / "sub" / "x.py").write_text("a\n")
    assert only(looked_at(without_last_break, tmp_path)).before == "a\nold\n"


def test_white_space_around_changes_may_differ(git: Git) -> None:
    """As in the diff that git makes with -w."""
    before, after = "if x:\na\nb\n", "if x:\n    a\n    c\n"
    diff = Change(git, before.encode(), after.encode()).diff("-w")
    assert only(looked_at(diff, git.root)).added == {3}
    check_refused(diff.replace(b"+    c", b"+  c"), git.root, "line 3 differs")


def test_a_broken_file_does_not_hide_others(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text("old\n")
    diff = "".join(
        f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-x\n+{text}\n"
        for name, text in zip("abc", ["old", "y", "z"], strict=True)
    )
    check_refused(diff, tmp_path, "b is not what the diff leads to: line 1 differs (and 1 more files are not): check")


HEADERS = [
    "diff --git a/x b/x", "diff --git x x", 'diff --git "a/\\303\\257" b/x', "diff --git a/b b/b b/b", "--- a/x",
    "+++ b/x", "--- /dev/null", "+++ /dev/null", "--- x\t", "+++ ../x", "new file mode 100644",
    "deleted file mode 120000", "old mode 100644", "new mode 160000", "rename from x", "rename to y", 'copy to "',
    "similarity index 100%", "index 12..34 160000", "Binary files a/x and b/x differ", "GIT binary patch",
]  # fmt: skip
BODIES = [
    "@@ -1 +1 @@", "@@ -0,0 +1,2 @@", "@@ -1,2 +0,0 @@", "@@ -3,1 +2,2 @@ def", "@@@ -1 -1 +1 @@@", " a", "-a", "+a",
    "+b", "-", "+", " ", "", "\\ No newline at end of file", "-- ", "\r", "-\ufeffa", "+\u2028",
    "@@ -1 +99999999999999999999 @@",
]  # fmt: skip


@given(st.lists(st.sampled_from(HEADERS + BODIES), max_size=25), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=400, deadline=None)
def test_any_order_of_lines_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzzed"
    root.mkdir(exist_ok=True)
    (root / "x").write_text("a\nb\n")
    check_total(end.join(lines).encode(), root)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp()
    check_total(data, root)
    check_total(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n" + data, root)
    check_total(b'diff --git "' + data + b'" "b/x"\n@@ -1 +1 @@\n-a\n+b\n', root)


def check_total(data: bytes, root: Path) -> None:
    with contextlib.suppress(InputError):
        for file in looked_at(data, root).files:
            assert file.added <= file.shown <= set(range(1, len(file.lines) + 1))


@given(st.lists(st.sampled_from(["a", "b", "", "-- x", "++ y", "\r", " "]), max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_before_is_what_git_compared_with(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], data: st.DataObject
) -> None:
    new = data.draw(st.lists(st.sampled_from([*old, "new", ""]), max_size=12))
    root = tmp_path_factory.mktemp("pair")
    texts = ["\n".join(old), "\n".join(new)]
    for name, text in zip(("before", "x"), texts, strict=True):
        (root / name).write_bytes(text.encode())
    done = subprocess.run(
        ["git", "diff", "--no-index", "-U1", "before", "x"], cwd=root, capture_output=True, check=False
    )
    patch = looked_at(done.stdout, root)
    if texts[0] != texts[1]:
        assert [(file.before, file.text) for file in patch.files] == [tuple(texts)]
