"""Which language a file is in, and what must be told about that language in words rather than queries.

This module knows names: of files, extensions, interpreters, language-server ids and wheels. It does not import a
grammar; `grammar.py` does, when one is first asked for. Adding a language is one entry here, one file in `queries/`
and one sample in the tests (see docs/adding-a-language.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Language:
    """What is known about a language before its grammar is loaded."""

    name: str
    """Our own name for it, stable across releases."""
    lsp_ids: tuple[str, ...] = ()
    """Language ids of the language server protocol; the first is the usual one."""
    extensions: tuple[str, ...] = ()
    """With the dot. An upper-case one is matched as written, any other in any case."""
    file_names: tuple[str, ...] = ()
    """Whole file names, for files whose extension says nothing."""
    interpreters: tuple[str, ...] = ()
    """Programs a `#!` line may name, without a version."""
    wheel: str = ""
    """The Python module that holds the grammar; empty: no syntax."""
    grammar_function: str = "language"
    """The function in that module which returns the grammar."""
    queries: tuple[str, ...] = ()
    """Files in `queries/`, without `.scm`, read one after the other. Languages may share them."""
    line_comments: tuple[str, ...] = ()
    """What begins a comment that ends with its line."""
    block_openers: tuple[str, ...] = ("{",)
    """How a line ends that opens a block."""
    block_tags: tuple[str, ...] = ()
    """Named node kinds that delimit a block; anonymous ones (`{`, `do`) are found without help."""
    max_indents: int = 0
    """How many different columns lines may begin at, for a scanner that writes past its buffer beyond; 0: any."""
    indentation: str = "    "
    """The unit of indentation to assume for a file that shows none; empty: none, any text stays as it is."""
    tab_recipes: bool = False
    """Whether the lines below a rule must begin with a tab, whatever the other lines begin with."""
    quotes: str = "\"'`"
    """What begins and ends a string on one line. Not what mostly stands for itself, as in Rust's lifetimes."""

    @property
    def has_syntax(self) -> bool:
        """Whether we know a grammar for it (it may still fail to load)."""
        return bool(self.wheel)


PLAIN_TEXT = Language(
    "plaintext", lsp_ids=("plaintext",), extensions=(".txt",), block_openers=("{", ":"), indentation=""
)

_SLASHES = ("//",)
_HASH = ("#",)

LANGUAGES: tuple[Language, ...] = (
    Language(
        "python",
        lsp_ids=("python",),
        extensions=(".py", ".pyi", ".pyw"),
        file_names=("SConstruct", "SConscript", "wscript"),
        interpreters=("python", "pypy"),
        wheel="tree_sitter_python",
        queries=("python",),
        line_comments=_HASH,
        block_openers=(":",),
    ),
    Language(
        "javascript",
        lsp_ids=("javascript", "javascriptreact"),
        extensions=(".js", ".mjs", ".cjs", ".jsx"),
        file_names=("Jakefile",),
        interpreters=("node", "nodejs", "bun"),
        wheel="tree_sitter_javascript",
        queries=("ecmascript", "javascript", "jsx"),
        line_comments=_SLASHES,
        block_openers=("{", "=>"),
        indentation="  ",
    ),
    Language(
        "typescript",
        lsp_ids=("typescript",),
        extensions=(".ts", ".mts", ".cts"),
        interpreters=("deno", "ts-node", "tsx"),
        wheel="tree_sitter_typescript",
        grammar_function="language_typescript",
        queries=("ecmascript", "typescript"),
        line_comments=_SLASHES,
        block_openers=("{", "=>"),
        indentation="  ",
    ),
    Language(
        "tsx",
        lsp_ids=("typescriptreact",),
        extensions=(".tsx",),
        wheel="tree_sitter_typescript",
        grammar_function="language_tsx",
        queries=("ecmascript", "typescript", "jsx"),
        line_comments=_SLASHES,
        block_openers=("{", "=>"),
        indentation="  ",
    ),
    Language(
        "go",
        lsp_ids=("go",),
        extensions=(".go",),
        wheel="tree_sitter_go",
        queries=("go",),
        line_comments=_SLASHES,
        indentation="\t",
        quotes='"`',
    ),
    Language(
        "rust",
        lsp_ids=("rust",),
        extensions=(".rs",),
        interpreters=("rust-script",),
        wheel="tree_sitter_rust",
        queries=("rust",),
        line_comments=_SLASHES,
        quotes='"',
    ),
    Language(
        "java",
        lsp_ids=("java",),
        extensions=(".java",),
        wheel="tree_sitter_java",
        queries=("java",),
        line_comments=_SLASHES,
    ),
    Language(
        "c",
        lsp_ids=("c",),
        extensions=(".c", ".h"),
        interpreters=("tcc",),
        wheel="tree_sitter_c",
        queries=("c",),
        line_comments=_SLASHES,
        quotes='"',
    ),
    Language(
        "cpp",
        lsp_ids=("cpp", "cuda-cpp"),
        extensions=(".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h++", ".ipp", ".cu", ".cuh", ".C", ".H"),
        wheel="tree_sitter_cpp",
        queries=("c", "cpp"),
        line_comments=_SLASHES,
        quotes='"',
    ),
    Language(
        "csharp",
        lsp_ids=("csharp",),
        extensions=(".cs", ".csx"),
        interpreters=("dotnet-script",),
        wheel="tree_sitter_c_sharp",
        queries=("csharp",),
        line_comments=_SLASHES,
    ),
    Language(
        "ruby",
        lsp_ids=("ruby",),
        extensions=(".rb", ".rake", ".gemspec", ".ru"),
        file_names=("Rakefile", "Gemfile", "Guardfile", "Vagrantfile", "Podfile", "Brewfile"),
        interpreters=("ruby", "jruby"),
        wheel="tree_sitter_ruby",
        queries=("ruby",),
        line_comments=_HASH,
        block_openers=("do", "then", "{", "|", "begin", "else"),
        indentation="  ",
    ),
    Language(
        "php",
        lsp_ids=("php",),
        extensions=(".php", ".phtml", ".php5", ".php7", ".php8"),
        interpreters=("php",),
        wheel="tree_sitter_php",
        grammar_function="language_php",
        queries=("php",),
        line_comments=("//", "#"),
    ),
    Language(
        "bash",
        lsp_ids=("shellscript", "bash", "sh"),
        extensions=(".sh", ".bash", ".ebuild", ".eclass"),
        file_names=(".bashrc", ".bash_profile", ".bash_aliases", ".bash_logout", ".profile", "PKGBUILD", "APKBUILD"),
        interpreters=("bash", "sh", "dash", "ash", "ksh"),
        wheel="tree_sitter_bash",
        queries=("bash",),
        line_comments=_HASH,
        block_openers=("do", "then", "{", "else", "("),
    ),
    Language(
        "json",
        lsp_ids=("json", "jsonc"),
        extensions=(".json", ".jsonc", ".geojson", ".webmanifest"),
        file_names=(".prettierrc", ".eslintrc", ".babelrc", "composer.lock", "flake.lock"),
        wheel="tree_sitter_json",
        queries=("json",),
        line_comments=_SLASHES,
        block_openers=("{", "["),
        indentation="  ",
        quotes='"',
    ),
    Language(
        "yaml",
        lsp_ids=("yaml", "dockercompose", "github-actions-workflow"),
        extensions=(".yaml", ".yml"),
        file_names=(".clang-format", ".clang-tidy", "CITATION.cff"),
        wheel="tree_sitter_yaml",
        queries=("yaml",),
        line_comments=_HASH,
        block_openers=(":",),
        max_indents=200,  # tree-sitter-yaml 0.7.2 crashes somewhere between 200 and 300
        indentation="  ",
    ),
    Language(
        "toml",
        lsp_ids=("toml",),
        extensions=(".toml",),
        file_names=("Cargo.lock", "poetry.lock", "uv.lock", "Pipfile"),
        wheel="tree_sitter_toml",
        queries=("toml",),
        line_comments=_HASH,
        block_openers=("[", "{"),
    ),
    Language(
        "html",
        lsp_ids=("html",),
        extensions=(".html", ".htm", ".xhtml"),
        wheel="tree_sitter_html",
        queries=("html",),
        block_openers=(">",),
        block_tags=("start_tag", "end_tag"),
        indentation="  ",
    ),
    Language(
        "css",
        lsp_ids=("css",),
        extensions=(".css",),
        wheel="tree_sitter_css",
        queries=("css",),
        indentation="  ",
    ),
)

WITHOUT_SYNTAX: tuple[Language, ...] = (
    PLAIN_TEXT,
    Language(
        "makefile",
        lsp_ids=("makefile", "make"),
        extensions=(".mk", ".mak", ".make"),
        file_names=("Makefile", "makefile", "GNUmakefile", "BSDmakefile", "Makefile.am", "Makefile.in", "Kbuild"),
        interpreters=("make", "gmake"),
        line_comments=_HASH,
        block_openers=(":",),
        indentation="\t",
        tab_recipes=True,
    ),
    Language(
        "gomod",
        lsp_ids=("go.mod", "gomod", "go.work", "gowork"),
        file_names=("go.mod", "go.work"),
        line_comments=_SLASHES,
        block_openers=("(",),
        indentation="\t",
    ),
    Language(
        "gitconfig",
        lsp_ids=("gitconfig", "git_config"),
        file_names=(".gitconfig", ".gitmodules"),
        line_comments=("#", ";"),
        block_openers=("]",),
        indentation="\t",
    ),
    Language("kconfig", lsp_ids=("kconfig",), file_names=("Kconfig",), line_comments=_HASH, indentation="\t"),
    Language("caddyfile", lsp_ids=("caddyfile",), file_names=("Caddyfile",), line_comments=_HASH, indentation="\t"),
    Language(
        "gdscript",
        lsp_ids=("gdscript",),
        extensions=(".gd",),
        line_comments=_HASH,
        block_openers=(":",),
        indentation="\t",
    ),
)
"""Languages that we have no grammar for, but know how to lay out."""

_ALL = (*LANGUAGES, *WITHOUT_SYNTAX)
_BY_NAME = {language.name: language for language in _ALL}
_BY_LSP_ID = {lsp_id: language for language in _ALL for lsp_id in language.lsp_ids}
_BY_FILE_NAME = {name: language for language in _ALL for name in language.file_names}
_BY_EXTENSION = {extension: language for language in _ALL for extension in language.extensions}
_BY_INTERPRETER = {program: language for language in _ALL for program in language.interpreters}

# `#!/usr/bin/env -S VAR=1 python3.11 -u` and `#!/bin/bash -e`: the first word, or after `env` the first plain one.
_SHEBANG = re.compile(r"#!\s*(?:\S*/env(?:\s+(?:-\S+|\w+=\S*))*\s+)?(\S+)")


def language_named(name: str) -> Language:
    """The language of that name (ours). Raises KeyError for one that is not in the registry."""
    return _BY_NAME[name]


def detect_language(path: str = "", lsp_id: str = "", text: str = "") -> Language:
    """The language of a file, from the first thing that tells: LSP language id, file name, extension, `#!` line.

    Everything is optional and anything unknown is passed over. Returns `PLAIN_TEXT` when nothing tells; never raises.
    """
    if lsp_id in _BY_LSP_ID:
        return _BY_LSP_ID[lsp_id]
    file = PurePath(path.replace("\\", "/"))
    if file.name in _BY_FILE_NAME:
        return _BY_FILE_NAME[file.name]
    for extension in (file.suffix, file.suffix.lower()):
        if extension in _BY_EXTENSION:
            return _BY_EXTENSION[extension]
    shebang = _SHEBANG.match(text[:200])
    if shebang:
        program = PurePath(shebang[1]).name.rstrip("0123456789.")
        return _BY_INTERPRETER.get(program, PLAIN_TEXT)
    return PLAIN_TEXT
