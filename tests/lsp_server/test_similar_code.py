"""Similar code: what is found, how the index follows the files, and that it stays within its bounds and the rules."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import language_named
from lsp_server import context, similar_code
from lsp_server.context import ContextKeeper, OpenFile, gathered
from lsp_server.privacy import Privacy
from lsp_server.retrieval import CHUNK_LINES, ChunkIndex, names_in
from lsp_server.retrieval.chunks import words_of
from lsp_server.settings import DEFAULT_EXCLUDE, Settings
from lsp_server.similar_code import SimilarCode
from lsp_server.state import State
from lsp_server.workspace_files import workspace_files
from tests.lsp_server.client import Client, talk

Script = Callable[..., str]
PYTHON = language_named("python")
assert PYTHON

READER = """\
def read_header(stream):
    magic = stream.read(4)
    if magic != MAGIC:
        raise HeaderError(magic)
    return Header(magic, stream.read_varint())
"""


def filler(seed: int, lines: int = 60) -> str:
    """Code that looks like nothing else."""
    rng = random.Random(seed)
    return "".join(f"value{rng.randrange(10**6)} = call{rng.randrange(10**6)}({number})\n" for number in range(lines))


def index_of(files: Mapping[str, str], **options: Any) -> ChunkIndex:
    index = ChunkIndex(**options)
    for name, text in files.items():
        index.put(name, "python", text)
    return index


# -- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("readHTTPHeader", {"read", "http", "header", "readhttpheader"}),
        ("max_line_count", {"max", "line", "count", "max_line_count"}),
        ("x = 1 + y2", set()),
        ("Name NAME name", {"name"}),
        ("größe_Änderung", {"größe_änderung"}),
        ("a" * 41, set()),
    ],
)
def test_words(text: str, expected: set[str]) -> None:
    assert expected <= words_of(text)
    assert "1" not in words_of(text)


def test_names_say_something() -> None:
    assert names_in("x = load_all(self, 'some text', 12345)") == {"load_all", "self", "some", "text"}


# -- what is found ------------------------------------------------------------------------------


def test_the_most_alike_is_last_and_what_goes_on_alike_is_behind_it() -> None:
    follows = "def check(stream):\n    magic = stream.read(4)\n    assert_checksum(magic, stream)\n"
    files = {f"{number}.py": filler(number) for number in range(9)}
    files |= {"reader.py": filler(77) + READER + filler(78), "check.py": filler(79) + follows + filler(80)}
    found = index_of(files).like("def read_trailer(stream):\n    magic = stream.re", "\n", "python", 3)
    assert found[-1].name in ("reader.py", "check.py")
    assert found[-1].text.lstrip().startswith("magic = stream.read(4)"), "it begins where the texts are alike"
    assert {piece.name for piece in found} <= {"reader.py", "check.py"}
    assert any("raise HeaderError(magic)" in piece.text for piece in found)
    for piece in found:
        assert piece.text in files[piece.name]
        assert files[piece.name].splitlines()[piece.first_line] == piece.text.splitlines()[0]
        assert piece.text.count("\n") <= CHUNK_LINES + 2


def test_longer_agreement_before_the_cursor_wins() -> None:
    common = "total = prices.sum()\n"
    files = {
        "one.py": filler(1) + "load_prices()\n" + common + "wrong_one()\n" + filler(2),
        "two.py": filler(3) + "prices = read_csv()\nprices.check()\n" + common + "right_one()\n" + filler(4),
        "three.py": filler(5) + "other()\n" + common + "wrong_two()\n" + filler(6),
    }
    before = "prices = read_csv()\n\nprices.check()\n" + common
    (piece,) = index_of(files).like(before, "", "python", 1)
    assert "right_one()" in piece.text
    assert piece.text.startswith("prices = read_csv()\n")


def test_nothing_is_found_where_nothing_is_alike() -> None:
    index = index_of({f"{number}.py": filler(number) for number in range(9)})
    for before in ("", "\n\n", "def read_trailer(stream):\n", "é" * 50, "x = (\n" * 100):
        assert index.like(before, "", "python", 3) == []
    assert index_of({}).like(READER, "", "python", 3) == []
    alike = index_of({"reader.py": READER})
    assert alike.like(READER, "", "python", 3) != []
    assert alike.like(READER, "", "python", 0) == []
    assert alike.like(READER, "", "ruby", 3) == []
    assert alike.like(READER, "", "python", 3, skip="reader.py") == []


def test_pieces_do_not_overlap() -> None:
    text = "".join(READER.replace("read_header", f"read_header_{number}") for number in range(20))
    found = index_of({"reader.py": text}).like(READER, "", "python", 9)
    assert len(found) > 2
    taken = [line for piece in found for line in range(piece.first_line, piece.first_line + piece.text.count("\n"))]
    assert len(taken) == len(set(taken))


# -- what is held -------------------------------------------------------------------------------


def asked_of(index: ChunkIndex) -> list[Any]:
    texts = [READER, filler(3), filler(8)[:400], "magic = stream.read(4)\n"]
    return [index.like(text, "", "python", 4) for text in texts]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12) | st.none()), max_size=25))
@settings(max_examples=40, deadline=None)
def test_an_index_after_any_changes_is_one_made_anew(changes: list[tuple[str, int | None]]) -> None:
    index, files = ChunkIndex(), dict[str, str]()
    for name, seed in changes:
        files.pop(name, None)
        if seed is None:
            index.remove(name)
        else:
            files[name] = filler(seed) + READER * (seed % 3)
            assert index.put(name, "python", files[name])
    anew = index_of(files)
    assert list(index) == list(files)
    assert (index.chunks, index.chars) == (anew.chunks, anew.chars)
    assert asked_of(index) == asked_of(anew)
    assert sum(map(len, index._holding.values())) <= 2.1 * sum(map(len, anew._holding.values())) + 100


def test_no_more_is_held_than_may_be() -> None:
    index = index_of({f"{number}.py": filler(number) for number in range(50)}, most_chars=20_000)
    assert 15_000 < index.chars <= 20_000
    last = list(index)[-1]
    assert not index.put(last, "python", "x" * 30_000)
    assert last not in index
    assert index.put("new.py", "python", filler(99, 20))


# -- the workspace's files ----------------------------------------------------------------------


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def similar_in(root: Path) -> SimilarCode:
    similar = SimilarCode([root], Privacy([root], DEFAULT_EXCLUDE, 256_000))
    while similar.refresh(10):
        pass
    return similar


def found(similar: SimilarCode, root: Path) -> set[str]:
    return {snippet.path for snippet in similar.like(root / "here.py", PYTHON, READER, len(READER), 9)}


def test_a_walk_leaves_out_what_may_not_be_seen_and_has_an_end(tmp_path: Path) -> None:
    wanted = {"a.py": "", "sub/b.py": "", "sub/deep/c.py": ""}
    others = {
        "out/d.py": "", "sub/made/e.py": "", ".git/f.py": "", "node_modules/g/h.py": "", "secrets/i.py": "", ".env": "",
        "sub/key.pem": "", "big.py": "x" * 300_000,
    }  # fmt: skip
    root = tree(tmp_path / "w", {**wanted, **others, ".gitignore": "/out/\nmade\n"})
    tree(tmp_path / "outside", {"j.py": ""})
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "linked.py").symlink_to(root / "a.py")
    (root / "sub" / "loop").symlink_to(root)
    privacy = Privacy([root], DEFAULT_EXCLUDE, 256_000)
    names = [path.relative_to(root).as_posix() for path in workspace_files([root, root], privacy)]
    assert names == [".gitignore", *wanted], "the upper ones first, each once"
    assert len(list(workspace_files([root], privacy, most_entries=4))) < len(names)
    assert list(workspace_files([tmp_path / "none"], privacy)) == []


def test_the_index_follows_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, {"a.py": READER, "b.py": filler(1), "notes.txt": READER, "secrets/c.py": READER})
    similar = similar_in(root)
    assert found(similar, root) == {"a.py"}
    assert similar.files == 2
    tree(root, {"b.py": READER + "\n", "d.py": READER})
    (root / "a.py").unlink()
    assert found(similar, root) == set(), "what is gone is not shown, told or not"
    for name in ("a.py", "b.py", "d.py", "secrets/c.py", "none.py"):
        similar.tell_changed(root / name)
    assert similar.has_more
    assert not similar.refresh(10)
    assert not similar.has_more
    assert found(similar, root) == {"b.py", "d.py"}

    (root / ".gitignore").write_text("d.py\n")
    similar = similar_in(root)
    assert found(similar, root) == {"b.py"}

    # What the editor has counts while it is open; it is on the disk alone afterwards.
    similar.take(root / "e.py", PYTHON, READER)
    assert found(similar, root) == {"b.py"}, "it is on no disk yet"
    tree(root, {"e.py": filler(2)})
    similar.take(root / "e.py", PYTHON, READER + "#\n")
    similar.tell_changed(root / "e.py")
    similar.refresh(10)
    assert found(similar, root) == {"b.py", "e.py"}
    similar.let_go(root / "e.py")
    similar.refresh(10)
    assert found(similar, root) == {"b.py"}

    # A client that tells of nothing: the walk is made again after a while.
    monkeypatch.setattr(similar_code, "_WALK_AGAIN_SECONDS", 0.0)
    similar = SimilarCode([root], Privacy([root], (), 256_000))
    similar.refresh(10)
    tree(root, {"f.py": READER})
    (root / "b.py").unlink()
    similar.refresh(10)
    assert found(similar, root) == {"f.py", "secrets/c.py"}
    assert similar.files == 3


def test_a_file_is_not_like_itself_nor_is_a_cell_a_file(tmp_path: Path) -> None:
    root = tree(tmp_path / "w", {"a.py": READER, "notes.ipynb": "{}"})
    (tmp_path / "link").symlink_to(root)
    similar = similar_in(root)
    asked = (PYTHON, READER, len(READER), 9)
    assert similar.like(root / "here.py", *asked)
    assert not similar.like(root / "a.py", *asked)
    assert not similar.like(tmp_path / "link" / "a.py", *asked)
    similar.take(root / "notes.ipynb", PYTHON, READER)
    assert found(similar, root) == {"a.py"}
    assert similar.files == 1


def test_after_many_changes_the_files_are_walked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar_code, "_MOST_FILES", 6)
    root = tree(tmp_path, {"a.py": READER})
    similar = similar_in(root)
    tree(root, {"b.py": READER})
    for number in range(100):
        similar.tell_changed(root / f"{number}.py")
        assert len(similar._changed) <= 6
    while similar.refresh(10):
        pass
    assert found(similar, root) == {"a.py", "b.py"}


def test_files_are_read_a_few_at_a_time_and_not_more_than_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path, {f"{number}.py": READER for number in range(9)})
    similar = SimilarCode([root], Privacy([root], (), 256_000))
    counts = []
    while similar.refresh(0):
        counts.append(similar.files)
    assert counts == list(range(1, 10))
    monkeypatch.setattr(similar_code, "_MOST_FILES", 4)
    assert similar_in(root).files == 4


def test_similar_code_comes_last_and_leaves_room(tmp_path: Path) -> None:
    root = tree(
        tmp_path, {"used.py": "def f7(x):\n    return x\n", "reader.py": READER * 12, "secrets/copy.py": READER * 12}
    )
    here = OpenFile(root / "here.py", PYTHON, "from used import f7\n" + READER[:60], 80)
    settings = Settings(context_chars=1500)
    without = gathered(here, [], [root], settings)
    assert [snippet.path for snippet in without] == ["used.py"]
    shown = gathered(here, [], [root], settings, similar_in(root))
    assert [snippet.path for snippet in shown] == ["used.py", "reader.py"]
    assert sum(len(snippet.text) for snippet in shown[1:]) <= 750
    other = OpenFile(root / "reader.py", PYTHON, filler(4), 0)
    shown = gathered(here, [other], [root], settings, similar_in(root))
    assert "reader.py" not in {snippet.path for snippet in shown}, "an open file is as it is in the editor"


def test_reading_on_takes_no_other_file_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While the index had more to read, the file gathered for was put in the place of the one edited meanwhile."""

    class Documents(list[Any]):
        roots = (tmp_path,)

    async def gathering() -> None:
        loop = asyncio.get_running_loop()
        facts = {"language": PYTHON, "text": "", "last_edit_char": 0, "is_known_to_worker": True, "is_open": True}
        first, second = (SimpleNamespace(path=tmp_path / name, show_snippets=list, **facts) for name in "ab")
        worker = SimpleNamespace(description=None)
        keeper: Any = ContextKeeper(
            cast(State, SimpleNamespace(documents=Documents(), worker=worker, settings=Settings(similar_code=True)))
        )

        def edited_meanwhile(*arguments: object) -> tuple[()]:
            loop.call_soon_threadsafe(keeper.changed, second)
            return ()

        monkeypatch.setattr(context, "gathered", edited_meanwhile)
        await keeper._gather(first)
        assert keeper._similar.has_more
        assert keeper._timer._args == (second,)
        keeper.end()
        keeper._timer = None
        monkeypatch.setattr(context, "gathered", lambda *arguments: ())
        await keeper._gather(first)
        assert keeper._timer._args == (first,)
        keeper.end()

    asyncio.run(gathering())


# -- in the server ------------------------------------------------------------------------------


def test_who_wants_it_is_shown_similar_code(script: Script, tmp_path: Path) -> None:
    root = tree(tmp_path / "w", {"reader.py": READER, "secrets/copy.py": READER.replace("magic", "hidden")})
    frames = tmp_path / "script.frames"

    async def conversation(client: Client) -> None:
        watching = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
        await client.initialize(root, capabilities=watching, model=script("x = 1\n"), similarCode=True)
        uri = (root / "here.py").as_uri()
        client.open(uri, READER[:40])
        client.type(uri, 40, "\n")
        await client.until(lambda: frames.exists() and b"raise HeaderError" in frames.read_bytes())
        registered = [params for method, params in client.asked if method == "client/registerCapability"]
        assert any(
            each["method"] == "workspace/didChangeWatchedFiles" for p in registered for each in p["registrations"]
        )

        (root / "newer.py").write_text(READER.replace("MAGIC", "NEWER_MAGIC"))
        told = {"changes": [{"uri": (root / "newer.py").as_uri(), "type": 1}, {"uri": "untitled:x", "type": 3}]}
        client.notify("workspace/didChangeWatchedFiles", told)
        client.type(uri, 41, "#")
        await client.until(lambda: b"NEWER_MAGIC" in frames.read_bytes())
        assert b"hidden" not in frames.read_bytes()

        client.notify("workspace/didChangeConfiguration", {"settings": {"setfill": {"similarCode": False}}})
        count = frames.read_bytes().count(b"set_context")
        await client.until(lambda: frames.read_bytes().count(b"set_context") > count)
        assert b"HeaderError" not in frames.read_bytes().rpartition(b"set_context")[2]

    talk(conversation)
