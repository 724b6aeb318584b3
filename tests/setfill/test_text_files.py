"""Files and places in them: what is read, refused and written."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.api.types import Gap
from model.errors import InputError, RangeError
from setfill.text_files import Position, SourceFile, replaced

TEXT = "α = 1\r\n# 🐍 snake\rlast\n"


def source(text: str, mark: bytes = b"") -> SourceFile:
    return SourceFile(Path("file.py"), mark + text.encode(), text)


def check_index(line: int, column: int, expected: int) -> None:
    found = source(TEXT).index(Position(line, column))
    assert found == expected
    assert source(TEXT).position(found) == Position(line, column)


def check_outside(line: int, column: int, expected: str) -> None:
    with pytest.raises(RangeError, match=expected):
        source(TEXT).index(Position(line, column))


def test_positions_are_lines_and_characters_from_1() -> None:
    check_index(1, 1, 0)
    check_index(1, 6, 5)
    check_index(2, 1, 7)
    check_index(2, 3, 9)
    check_index(2, 4, 10)  # after the emoji: one character
    check_index(3, 1, 17)
    check_index(3, 5, 21)
    check_index(4, 1, 22)  # the empty line after the last break


def test_positions_outside() -> None:
    check_outside(0, 1, "has 4 lines: there is no line 0")
    check_outside(5, 1, "has 4 lines: there is no line 5")
    check_outside(1, 0, "columns go from 1 to 6, not 0")
    check_outside(1, 7, "line 1 of file.py has 5 characters: columns go from 1 to 6, not 7")
    check_outside(4, 2, "columns go from 1 to 1, not 2")


def test_an_empty_file_has_one_place() -> None:
    assert source("").index(Position(1, 1)) == 0


def test_form_feed_and_unicode_separators_end_no_line() -> None:
    assert source("a\fb\x0b\u2028c\x85d").line_starts == [0]


@given(st.text("ab\r\n🐍"), st.data())
def test_every_index_has_a_position_that_leads_back(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))
    if 0 < index < len(text) and text[index - 1 : index + 1] == "\r\n":
        return  # inside a line break there is no place
    assert source(text).index(source(text).position(index)) == index


def test_gaps_are_sorted_and_must_be_apart() -> None:
    at = [Position(1, column) for column in range(1, 7)]
    assert source(TEXT).gaps([(at[3], at[4]), (at[0], at[0])]) == [Gap(0, 0), Gap(3, 4)]
    for ranges, expected in [
        ([(at[2], at[1])], "the range 1:3-1:2 is reversed"),
        ([(at[0], at[3]), (at[1], at[2])], "1:1-1:4 and 1:2-1:3 overlap"),
        ([(at[1], at[1]), (at[1], at[1])], "1:2 and 1:2 overlap or touch"),
        ([(at[1], at[2]), (at[2], at[3])], "overlap or touch"),
    ]:
        with pytest.raises(RangeError, match=expected):
            source(TEXT).gaps(ranges)


def test_replaced_puts_every_filling_in_its_gap() -> None:
    text, places = replaced("0123456789", [Gap(0, 1), Gap(3, 3), Gap(8, 10)], ["abc", "", "x"])
    assert text == "abc1234567x"
    assert [text[place.start : place.end] for place in places] == ["abc", "", "x"]


def check_unreadable(path: Path, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        SourceFile.read(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"ELF\0")
    (tmp_path / "latin").write_bytes("naïve".encode("latin-1"))
    check_unreadable(tmp_path / "binary", r"is a binary file \(byte 3 is NUL\)")
    check_unreadable(tmp_path / "latin", r"is not UTF-8 \(byte 2\)")
    check_unreadable(tmp_path / "missing", "No such file")
    check_unreadable(tmp_path, "is a directory")
    check_unreadable(Path("/dev/null/x"), "Not a directory")
    check_unreadable(Path("bad\0name"), "null")
    check_unreadable(Path("/dev/zero"), "not a regular file")
    with open(tmp_path / "huge", "wb") as huge:
        huge.truncate(2**30)
    check_unreadable(tmp_path / "huge", "larger than 16 MiB")


def test_write_keeps_mode_mark_breaks_and_links(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    path.chmod(0o754)
    link = tmp_path / "link.py"
    link.symlink_to(path)
    read = SourceFile.read(link)
    assert read.text == "a\r\nb"
    read.write(read.text + "\r\n🐍")
    assert path.read_bytes() == b"\xef\xbb\xbfa\r\nb\r\n" + "🐍".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o754
    assert link.is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.py", "link.py"]


def facts(path: Path) -> tuple[object, ...]:
    """What of a file is not its content."""
    status = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)} if hasattr(os, "listxattr") else {}
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_nlink, attributes


@pytest.mark.parametrize("linked", [False, True])
def test_write_keeps_all_but_the_content(tmp_path: Path, linked: bool) -> None:
    """Owner, extended attributes and hard links were lost: a new file took the old one's place."""
    path = tmp_path / "file.py"
    path.write_text("one")
    path.chmod(0o640)
    with contextlib.suppress(OSError, AttributeError):  # where the file system has them, and for root
        os.setxattr(path, "user.origin", b"https://example.org")
    with contextlib.suppress(PermissionError):
        os.chown(path, 12345, 54321)
    if linked:
        os.link(path, tmp_path / "other.py")
    before = facts(path)
    SourceFile.read(path).write("two, longer")
    assert (path.read_text(), facts(path)) == ("two, longer", before)
    SourceFile.read(path).write("3")
    assert (path.read_text(), facts(path)) == ("3", before)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.py", *(["other.py"] if linked else [])]
    assert not linked or (tmp_path / "other.py").read_text() == "3"


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["write", "fsync", "ftruncate", "replace"])
def test_an_interrupted_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool, error: BaseException, call: str
) -> None:
    path = tmp_path / "file.py"
    path.write_text("old" * 1000)
    if linked:
        os.link(path, tmp_path / "other.py")
    source, real, calls = SourceFile.read(path), getattr(os, call), []

    def fails_once_half_done(*arguments: Any) -> Any:
        calls.append(call)
        if len(calls) > 1:
            return real(*arguments)
        if call == "write":
            real(arguments[0], arguments[1][:100])
        raise error

    monkeypatch.setattr(os, call, fails_once_half_done)
    with contextlib.suppress(InputError, KeyboardInterrupt):
        source.write("new" * 2000)
    assert path.read_text() in ("old" * 1000, "new" * 2000)
    kept = ["file.py", "other.py"] if linked else ["file.py"]
    assert sorted(each.name for each in tmp_path.iterdir()) == kept


def test_a_killed_write_leaves_a_copy(tmp_path: Path) -> None:
    """With hard links the file is overwritten where it is: what it was lies beside it until that is done."""
    path = tmp_path / "file.py"
    path.write_text("old" * 1000)
    os.link(path, tmp_path / "other.py")
    code = (
        "import os, sys; from pathlib import Path; from setfill import file_contents\n"
        "real = os.ftruncate\n"
        "os.ftruncate = lambda *arguments: os.kill(os.getpid(), 9)\n"
        "path = Path(sys.argv[1]); file_contents.replace(path, path.read_bytes(), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).resolve().parents[2])
    assert done.returncode == -signal.SIGKILL
    (copy,) = tmp_path.glob("*.before-setfill-*")
    assert copy.read_text() == "old" * 1000


def test_write_refuses_a_file_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("one")
    read = SourceFile.read(path)
    path.write_text("two")
    with pytest.raises(InputError, match="has changed meanwhile"):
        read.write("three")
    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["file.py"]
    path.unlink()
    with pytest.raises(InputError, match="cannot write"):
        read.write("three")
    assert not list(tmp_path.iterdir())


def test_write_refuses_a_protected_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # root may write everything, so it has to be told that it may not
        monkeypatch.setattr(os, "access", lambda place, mode: False)
    path = tmp_path / "file.py"
    path.write_text("one")
    path.chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        SourceFile.read(path).write("two")
