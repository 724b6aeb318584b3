"""What grammars get wrong about valid text, so that a rule does not blame it: measured on some 13,000 real files.

Knows, language by language, who else may be asked, which constructs a grammar lacks, and that a grammar of C sees no
macros. Does not know what changed.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Callable

from lint.records import Level
from lint.rules.source import Source

_COMMENT_IN_JSON = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
_COMMA_AT_END = re.compile(r",(\s*[\]}])")


def _parse_json(text: str) -> None:
    """Read JSON. A file with comments is read by something that allows them, and commas before closing brackets."""
    without_comments = _COMMENT_IN_JSON.sub("", text)
    json.loads(text if without_comments == text else _COMMA_AT_END.sub(r"\1", without_comments))


_OTHER_PARSERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "toml": tomllib.loads,
    "json": _parse_json,
}
# A template of a page or a configuration is no text of its language yet.
_TEMPLATE = re.compile(r"\{%|<%|(?<!=)\{\{-?\s*[.#/$\w][^\n]{0,200}\}\}|\$\{\{")
_NO_TEMPLATES = frozenset({"go", "rust", "java", "c", "cpp", "csharp"})  # where two braces are code
_VARIANCE = r"(?:<|,|^)\s*(?:const\s+)?(?:in|out)\s+(?:out\s+)?\w+|\bimport\(\s*[\"']|\bexport default function\s*\("
_LACKING: dict[str, re.Pattern[str]] = {
    "typescript": re.compile(_VARIANCE),  # tree-sitter-typescript 0.23.2
    "tsx": re.compile(_VARIANCE),
    "css": re.compile(r"!\s+important|;\s*;|@container|@layer|@property|progid:|\burl\(|&|\\$"),  # tree-sitter-css 0.25
    "csharp": re.compile(r"\*\s*\(\(\s*[\w.]+\s*\*+\s*\)"),  # `*((double*)a)`: tree-sitter-c-sharp 0.23
    "rust": re.compile(r"\bbox\b|~const|\bmacro\b|\[\(\);"),  # unstable syntax
}
_LEVELS = {"bash": Level.WARNING, "css": Level.WARNING, "c": Level.WARNING, "cpp": Level.WARNING, "php": Level.WARNING}
_BRACKETS_ALONE = frozenset({"c", "cpp"})

_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b[ \t]*([^\n]*)")


def syntax_level(language: str) -> Level:
    """How far the grammar's word counts: on valid files, those of Bash, CSS, PHP and C err about once in 50."""
    return _LEVELS.get(language, Level.ERROR)


def counts_brackets_alone(language: str) -> bool:
    """Whether nothing but brackets can be judged: two of five valid files of C hold macros that read as errors."""
    return language in _BRACKETS_ALONE


def other_parser_error(source: Source) -> SyntaxError | ValueError | None:
    """What another parser of the language says about the text. None where it accepts it, fails, or there is none."""
    parse = _OTHER_PARSERS.get(source.language.name)
    if parse is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(source.text)
    except (ValueError, SyntaxError) as error:
        return error
    except (RecursionError, MemoryError):  # too deep for it: nothing is known
        return None
    return None


def has_other_parser(language: str) -> bool:
    """Whether `other_parser_error` can tell anything about the language."""
    return language in _OTHER_PARSERS


def is_known_misparse(source: Source, first_line: int, last_line: int) -> bool:
    """Whether one of the lines has a construct that the grammar lacks, or is a template."""
    pattern = _LACKING.get(source.language.name)
    for line in source.file.lines[first_line - 1 : last_line]:
        if pattern is not None and pattern.search(line):
            return True
        if source.language.name not in _NO_TEMPLATES and _TEMPLATE.search(line):
            return True
    return False


def first_branches(text: str) -> str:
    """A text of C without directives, and of each conditional only the first branch: brackets can then be matched.

    Lines keep their places. What stands below `#if 0` is no code.
    """
    kept: list[str] = []
    open_branches: list[bool] = []
    for line in text.split("\n"):
        directive = _DIRECTIVE.match(line)
        if directive is None:
            kept.append(line if all(open_branches) else "")
            continue
        kept.append("")
        word = directive[1]
        if word.startswith("if"):
            open_branches.append(directive[2].strip() != "0")
        elif word == "endif" and open_branches:
            open_branches.pop()
        elif open_branches:
            open_branches[-1] = False
    return "\n".join(kept)
