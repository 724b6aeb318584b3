"""Names that nothing in the file defines, where a close one is defined: `reuslt` beside `result`.

Knows what a name can be besides one that the file defines: an attribute, a keyword argument, a built-in, a name of
another file. It does not resolve scopes: a name that is defined anywhere in the file, or stands in it a third time, is
taken for known. So it misses much, and seldom alarms.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from grammars import Name, PlaceKind, names_in
from lint.records import ChangedFile, Finding, Level, Rule
from lint.rules.source import Source, source_of

UNKNOWN_NAME = Rule(
    id="unknown-name",
    level=Level.NOTE,
    title="Nothing in the file defines this name, and a close one is defined",
    explanation=(
        "The name stands nowhere else in the file, is neither an attribute nor built in, and differs in one letter, or "
        "two that changed places, from one that the file defines. It may be misspelt. Looked for in Python, "
        "JavaScript, TypeScript and PHP, and for variables in Go, Java, Rust and C#; not in files that import `*`."
    ),
)

_SECONDS = 5.0
_MOST_NAMES = 20_000  # what `names_in` gives: of a file with more, not all definitions are known
_MOST = 10
_LEAST_CHAR = 5
_WORD = re.compile(r"[^\W\d]\w*")
_STAR = re.compile(
    r"^[ \t]*from[ \t]+[\w.]+[ \t]+import[ \t]*\(?[ \t]*\*|\b(?:exec|eval|globals|locals)\(", re.MULTILINE
)
# What stands before and behind a name that is an attribute, a key, a keyword argument, a label, a tag or a macro.
_MEMBER_BEFORE = re.compile(r"(?:(?<!\.\.)\.|->|::|\?\.|#|</?|@)\s*$")
_MEMBER_BEHIND = re.compile(r"\s*(?:=(?![=>])|:(?!=)|::|!(?!=)|\?:)")
_WHOLE_FILES = frozenset(
    {"python", "javascript", "typescript", "tsx", "php"}
)  # what a file does not define, it imports
_VARIABLES_ALONE = frozenset({"go", "java", "rust", "csharp"})  # other files of a package may define all else
_VARIABLE = re.compile(r"[a-z_][a-z0-9_]*(?:[A-Z][a-z0-9]+)*$")
_PYTHON = frozenset([*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "reveal_type", "WindowsError", "unicode"])
_JAVASCRIPT = frozenset((
    "Array", "ArrayBuffer", "Awaited", "Boolean", "Buffer", "DataView", "Error", "Event", "Exclude",
    "Extract", "Infinity", "Iterator", "Number", "Object", "Parameters", "Partial", "Promise", "Proxy",
    "Range", "RangeError", "Readonly", "Record", "Reflect", "RegExp", "Request", "Required", "Response",
    "ReturnType", "String", "Symbol", "TypeError", "URIError", "Uint8Array", "WeakMap", "WeakRef",
    "WeakSet", "after", "afterEach", "arguments", "before", "beforeEach", "bigint", "boolean",
    "clearInterval", "clearTimeout", "close", "confirm", "console", "constructor", "crypto", "default",
    "describe", "document", "escape", "event", "expect", "exports", "fetch", "focus", "frames", "global",
    "globalThis", "history", "isFinite", "isNaN", "length", "location", "module", "moveBy", "moveTo",
    "navigator", "never", "number", "object", "origin", "parent", "parseFloat", "parseInt", "performance",
    "print", "process", "prompt", "require", "screen", "scroll", "setInterval", "setTimeout", "status",
    "string", "structuredClone", "super", "symbol", "toString", "undefined", "unescape", "unknown", "window",
))  # fmt: skip
_BUILT_IN = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "tsx": _JAVASCRIPT,
    "php": frozenset(("GLOBALS", "_COOKIE", "_FILES", "_POST", "_REQUEST", "_SERVER", "_SESSION")),
    "go": frozenset(("append", "close", "complex", "delete", "panic", "print", "println", "recover")),
}


def unknown_names(file: ChangedFile) -> Iterator[Finding]:
    """Find names that are most likely another one, misspelt."""
    source = source_of(file)
    language = source.language.name
    if language not in _WHOLE_FILES | _VARIABLES_ALONE or source.snapshot.tree is None or _STAR.search(source.text):
        return
    names = names_in(source.snapshot, timeout_seconds=_SECONDS)
    if len(names.defined) + len(names.used) >= _MOST_NAMES:
        return
    defined = {name.text for name in names.defined}
    times = Counter(_WORD.findall(source.text))
    index = _by_deletions(word for word in defined if len(word) >= _LEAST_CHAR)
    suspicious = (
        (name, close)
        for name in names.used
        if len(name.text) >= _LEAST_CHAR
        and name.text not in defined
        and times[name.text] == 1
        and (close := _close_to(name.text, index)) is not None
        and _is_free(source, name)
    )
    for name, close in islice(suspicious, _MOST):
        message = f"Nothing in this file defines `{name.text}`; `{close}` is close"
        yield source.finding(UNKNOWN_NAME, source.span(*name.span), message)


def _is_free(source: Source, name: Name) -> bool:
    """Whether a name stands by itself: something must define it, in this file or in one that it says."""
    text, language = source.text, source.language.name
    before = text[max(0, name.span.start_char - 20) : name.span.start_char]
    if name.text in _BUILT_IN.get(language, ()) or name.text.startswith("__"):
        return False
    if language == "php":
        return before.endswith("$") and not before.endswith("::$") and not before.endswith("->$")
    if _MEMBER_BEFORE.search(before) or _MEMBER_BEHIND.match(text, name.span.end_char):
        return False
    if language in _VARIABLES_ALONE and (
        not _VARIABLE.match(name.text) or text[name.span.end_char :].lstrip()[:1] in ("(", "{", "<")
    ):
        return False
    return source.kind_at(name.span.start_char + 1) is PlaceKind.CODE


def _by_deletions(words: Iterable[str]) -> dict[str, list[str]]:
    """The words by themselves and by what is left of them without any one letter."""
    index: dict[str, list[str]] = {}
    for word in sorted(words):
        for key in _deletions(word):
            index.setdefault(key, []).append(word)
    return index


def _deletions(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))} if len(word) <= 60 else {word}


def _close_to(word: str, index: dict[str, list[str]]) -> str | None:
    """The first defined word that is one slip away; None where there is none."""
    for key in sorted(_deletions(word)):
        for other in index.get(key, ()):
            if _is_slip(word, other):
                return other
    return None


def _is_slip(word: str, other: str) -> bool:
    """Whether one letter is missing, added, another, or two beside each other changed places.

    Names that differ in their first or last letter, a digit, an underscore or in case are two, not one misspelt.
    """
    if word.lower() == other.lower() or word[0] != other[0]:
        return False
    longer, shorter = (word, other) if len(word) >= len(other) else (other, word)
    pairs = zip(longer, shorter, strict=False)
    start = next((at for at, (one, another) in enumerate(pairs) if one != another), len(shorter))
    if len(longer) > len(shorter):
        return longer[start + 1 :] == shorter[start:] and start < len(shorter) and longer[start].islower()
    if longer[start + 1 :] == shorter[start + 1 :]:
        return longer[start].islower() and shorter[start].islower() and start < len(shorter) - 1
    swapped = longer[start + 1] + longer[start] == shorter[start : start + 2]
    return swapped and longer[start + 2 :] == shorter[start + 2 :]
