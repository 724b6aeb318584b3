"""Which language a file is in, and what happens when its grammar is not to be had."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

import pytest

import grammars
from grammars import (
    LANGUAGES,
    PLAIN_TEXT,
    Language,
    TreeState,
    detect_language,
    grammar_of,
    language_named,
    snapshot_of,
)
from grammars.grammar import load_grammar
from grammars.languages import WITHOUT_SYNTAX


@pytest.mark.parametrize(
    ("path", "lsp_id", "text", "name"),
    [
        ("a/b.py", "", "", "python"),
        ("a/b.PY", "", "", "python"),
        ("C:\\src\\b.cs", "", "", "csharp"),
        ("b.C", "", "", "cpp"),
        ("b.c", "", "", "c"),
        ("b.h", "", "", "c"),
        ("b.h", "cpp", "", "cpp"),
        ("b.jsx", "", "", "javascript"),
        ("b.txt", "javascriptreact", "", "javascript"),
        ("b.tsx", "", "", "tsx"),
        ("b", "typescriptreact", "", "tsx"),
        ("b.d.ts", "", "", "typescript"),
        ("x/Rakefile", "", "", "ruby"),
        (".bashrc", "", "", "bash"),
        ("b.unknown", "shellscript", "", "bash"),
        ("src/Makefile", "", "", "makefile"),
        ("b.mk", "", "", "makefile"),
        ("b", "make", "", "makefile"),
        ("run", "", "#!/usr/bin/make -f\n", "makefile"),
        ("go.mod", "", "", "gomod"),
        ("run", "", "#!/usr/bin/env python3\n", "python"),
        ("run", "", "#!/usr/bin/env -S FOO=1 python3.11 -u\n", "python"),
        ("run", "", "#! /bin/bash -e\n", "bash"),
        ("run", "", "#!/usr/local/bin/node", "javascript"),
        ("run", "", "#!/usr/bin/perl\n", "plaintext"),
        ("b.py", "not-a-language", "", "python"),
        ("b.py", "plaintext", "", "plaintext"),
        ("", "", "", "plaintext"),
        ("run", "", "#!", "plaintext"),
        ("\x00/\ud800", "\ud800", "\x00", "plaintext"),
    ],
)
def test_detect(path: str, lsp_id: str, text: str, name: str) -> None:
    assert detect_language(path, lsp_id, text).name == name


def test_registry_is_consistent() -> None:
    wanted = "python javascript typescript tsx go rust java c cpp csharp ruby php bash json yaml toml html css"
    assert sorted(language.name for language in LANGUAGES) == sorted(wanted.split())
    for attribute in ("name", "lsp_ids", "extensions", "file_names", "interpreters"):
        values = [getattr(language, attribute) for language in (*LANGUAGES, *WITHOUT_SYNTAX)]
        flat = [value for group in values for value in ([group] if isinstance(group, str) else group)]
        assert len(flat) == len(set(flat)), f"two languages share one of their {attribute}"


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_grammar_loads(language: Language) -> None:
    assert language_named(language.name) is language
    assert grammar_of(language).problem == ""


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (Language("missing", wheel="tree_sitter_missing"), "pip install tree-sitter-missing"),
        (Language("not_a_grammar", wheel="json", grammar_function="dumps"), "does not fit"),
        (Language("no_function", wheel="tree_sitter_json", grammar_function="nonsense"), "does not fit"),
        (Language("no_query", wheel="tree_sitter_json", queries=("nonsense",)), "queries"),
        (Language("wrong_query", wheel="tree_sitter_json", queries=("python",)), "queries"),
        (PLAIN_TEXT, "no syntax is known"),
    ],
)
def test_a_grammar_that_cannot_be_had_is_reported(language: Language, told: str) -> None:
    assert told in load_grammar(language).problem
    snapshot = snapshot_of("a = (1)\n", language)
    assert snapshot.tree_state is TreeState.MISSING
    assert told in snapshot.problem


def test_an_incompatible_wheel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def language() -> object:
        raise ValueError("Incompatible Language version 99")

    module = type(sys)("tree_sitter_future")
    module.language = language  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tree_sitter_future", module)
    assert "version 99" in load_grammar(Language("future", wheel="tree_sitter_future")).problem


def test_grammars_load_once_from_many_threads() -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(grammar_of(language_named("css")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(grammar) for grammar in found}) == 1


def test_the_package_imports_nothing_else_of_ours() -> None:
    allowed = {"grammars", "tree_sitter", *sys.stdlib_module_names}
    for file in Path(grammars.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, file
