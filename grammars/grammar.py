"""Grammars: a language's wheel and its queries, loaded when first asked for.

This module knows wheels and `.scm` files. It does not know documents. A wheel that is missing, or built for another
tree-sitter, is a fact to report (`Grammar.problem`), not an exception: the language then has no syntax.
"""

from __future__ import annotations

import importlib
import re
import threading
from dataclasses import dataclass, field
from importlib import resources

import tree_sitter

from grammars.languages import Language

CAPTURES: dict[str, str] = {
    "scope": "a region whose definitions are its own",
    "function": "a function, method or anything else that is called",
    "class": "a type, module or other named group of definitions",
    "signature": "a definition; what it promises goes from its start to one of the next two, or is all of it",
    "signature.end": "the body that follows a signature, in the same pattern",
    "signature.last": "the last part of a signature, in the same pattern, where no body need follow",
    "statement": "the smallest unit one would write, move or delete as a whole",
    "block": "a body: statements or items that belong together, with the brackets around them",
    "comment": "a comment",
    "string": "a string",
    "string.type": "a string that is, or names, a type",
    "interpolation": "code inside a string",
    "import": "a statement that brings in names of other files",
    "bracket.open": "an opening bracket",
    "bracket.close": "a closing bracket",
    "definition": "an identifier where it is defined",
    "reference": "an identifier, wherever it stands; where it is also a @definition, that wins",
}
"""The words the queries are written in, and what each means."""

_CAPTURE_NAME = re.compile(r"@([a-z.]+)")
_QUERY_COMMENT = re.compile(r"^\s*;.*$", re.MULTILINE)


@dataclass
class Grammar:
    """A loaded grammar, or the reason why there is none."""

    language: Language
    parser_language: tree_sitter.Language | None = None
    patterns: tuple[str, ...] = ()
    """The query's patterns, one by one."""
    problem: str = ""
    """Why there is no syntax, in words for the user; empty when all is well."""
    _queries: dict[frozenset[str], tree_sitter.Query] = field(default_factory=dict)

    def query(self, captures: frozenset[str]) -> tree_sitter.Query:
        """A query of only those patterns that mention one of ``captures``. Compiled once for each set.

        Raises ValueError when the grammar has a `problem`.
        """
        if self.parser_language is None:
            raise ValueError(f"{self.language.name} has no syntax: {self.problem}")
        if captures not in self._queries:
            # Two threads may both compile it the first time: a few wasted milliseconds, and the results are equal.
            wanted = (pattern for pattern in self.patterns if not captures.isdisjoint(_CAPTURE_NAME.findall(pattern)))
            self._queries[captures] = tree_sitter.Query(self.parser_language, "\n".join(wanted))
        return self._queries[captures]

    def capture_names(self) -> frozenset[str]:
        """Every capture that the language's queries mention."""
        return frozenset(_CAPTURE_NAME.findall("\n".join(self.patterns)))


_loaded: dict[str, Grammar] = {}
_loading = threading.Lock()


def grammar_of(language: Language) -> Grammar:
    """The language's grammar, loaded on first use and kept. Never raises; see `Grammar.problem`."""
    found = _loaded.get(language.name)
    if found is None or found.language is not language:
        with _loading:
            found = _loaded.get(language.name)
            if found is None or found.language is not language:
                found = _loaded[language.name] = load_grammar(language)
    return found


def load_grammar(language: Language) -> Grammar:
    """Load a grammar anew. What goes wrong is told in the result's `problem`."""
    if not language.has_syntax:
        return Grammar(language, problem=f"no syntax is known for {language.name}")
    try:
        module = importlib.import_module(language.wheel)
        parser_language = tree_sitter.Language(getattr(module, language.grammar_function)())
    except ImportError as error:
        distribution = language.wheel.replace("_", "-")
        return Grammar(language, problem=f"{error}: install it with `pip install {distribution}`")
    except (AttributeError, TypeError, ValueError) as error:
        return Grammar(
            language, problem=f"{language.wheel} does not fit tree-sitter {tree_sitter.__version__}: {error}"
        )
    try:
        source = "\n".join(map(_read_query, language.queries))
        query = tree_sitter.Query(parser_language, source)
    except (OSError, ValueError) as error:
        return Grammar(language, problem=f"the queries for {language.name} do not fit {language.wheel}: {error}")
    data = source.encode("utf-8")
    patterns = (
        data[query.start_byte_for_pattern(index) : query.end_byte_for_pattern(index)].decode("utf-8")
        for index in range(query.pattern_count)
    )
    return Grammar(language, parser_language, tuple(_QUERY_COMMENT.sub("", pattern) for pattern in patterns))


def _read_query(name: str) -> str:
    return resources.files("grammars").joinpath("queries", f"{name}.scm").read_text(encoding="utf-8")
