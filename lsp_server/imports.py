"""Which files of the workspace a file imports, and which names of them.

A reading of import statements, not a language's own resolution: what it misses is missing from the context, no more.

Knows the import statements of some languages; reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grammars import OutlineKind, SyntaxSnapshot, outline_around

_LONGEST_IMPORTS_CHAR = 8_000
_SCRIPT_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", "/index.ts", "/index.tsx", "/index.js")

_PYTHON_FROM = re.compile(r"from\s+(\.*)([\w.]*)\s+import\s+(.+)", re.DOTALL)
_PYTHON_IMPORT = re.compile(r"import\s+(.+)", re.DOTALL)
_SCRIPT_PATH = re.compile(r"""["'](\.{1,2}/[^"']+)["']""")
_INCLUDE = re.compile(r'#\s*include\s+"([^"]+)"')
_RUST_USE = re.compile(r"use\s+crate::([\w:]+)(?:::\{([^}]*)\})?")
_RUBY_REQUIRE = re.compile(r"""require_relative\s*\(?\s*["']([^"']+)["']""")
_WORD = re.compile(r"\w+")

Imported = tuple[tuple[Path, ...], frozenset[str]]
"""Files of which the first that exists is meant, and the names taken from it; no names: all of them."""


def imported_files(syntax: SyntaxSnapshot, path: Path, roots: Sequence[Path]) -> list[Imported]:
    """Return what the file at `path` imports from files near it, in the order of the file."""
    reader = _READERS.get(syntax.language.name)
    if reader is None:
        return []
    outline = outline_around(syntax, 0, _LONGEST_IMPORTS_CHAR)
    statements = [entry.text.strip() for entry in outline.entries if entry.kind is OutlineKind.IMPORT]
    return [found for statement in statements for found in reader(statement, path, roots)]


def _python(statement: str, path: Path, roots: Sequence[Path]) -> Iterator[Imported]:
    if found := _PYTHON_FROM.match(statement):
        dots, module, what = found.groups()
        names = [part.split(" as ")[0].strip() for part in what.strip("() \n").split(",")]
        bases = [path.parents[len(dots) - 1]] if 0 < len(dots) <= len(path.parents) else _python_roots(path, roots)
        parts = [part for part in module.split(".") if part]
        yield _modules(bases, parts), frozenset(names) - {"*", ""}
        for name in names:  # which may be modules themselves
            if name.isidentifier():
                yield _modules(bases, [*parts, name]), frozenset()
    elif found := _PYTHON_IMPORT.match(statement):
        for part in found[1].split(","):
            yield _modules(_python_roots(path, roots), part.split(" as ")[0].strip().split(".")), frozenset()


def _python_roots(path: Path, roots: Sequence[Path]) -> list[Path]:
    return [path.parent, *(folder for root in roots for folder in (root, root / "src"))]


def _modules(bases: Sequence[Path], parts: Sequence[str]) -> tuple[Path, ...]:
    if not parts:
        return tuple(base / "__init__.py" for base in bases)
    places = [base.joinpath(*parts) for base in bases]
    return tuple(each for place in places for each in (place.with_name(f"{place.name}.py"), place / "__init__.py"))


def _script(statement: str, path: Path, roots: Sequence[Path]) -> Iterator[Imported]:
    for found in _SCRIPT_PATH.finditer(statement):
        place = path.parent / found[1]
        names = frozenset(_WORD.findall(statement[: found.start()])) - {"import", "from", "as", "type", "const"}
        bare = place.with_suffix("") if place.suffix in (".js", ".mjs", ".jsx") else place
        yield (place, *(Path(f"{bare}{ending}") for ending in _SCRIPT_ENDINGS)), names


def _c(statement: str, path: Path, roots: Sequence[Path]) -> Iterator[Imported]:
    for found in _INCLUDE.finditer(statement):
        folders = [path.parent, *(folder for root in roots for folder in (root, root / "include", root / "src"))]
        yield tuple(folder / found[1] for folder in folders), frozenset()


def _rust(statement: str, path: Path, roots: Sequence[Path]) -> Iterator[Imported]:
    for found in _RUST_USE.finditer(statement):
        parts = [part for part in found[1].split("::") if part]
        listed = frozenset(_WORD.findall(found[2] or ""))
        modules, names = (parts, listed) if listed else (parts[:-1], frozenset(parts[-1:]))
        if modules:
            places = [root.joinpath("src", *modules) for root in roots]
            yield tuple(each for place in places for each in (place.with_suffix(".rs"), place / "mod.rs")), names


def _ruby(statement: str, path: Path, roots: Sequence[Path]) -> Iterator[Imported]:
    for found in _RUBY_REQUIRE.finditer(statement):
        yield (path.parent / f"{found[1].removesuffix('.rb')}.rb",), frozenset()


_READERS: dict[str, Callable[[str, Path, Sequence[Path]], Iterator[Imported]]] = {
    "python": _python,
    "javascript": _script,
    "typescript": _script,
    "tsx": _script,
    "c": _c,
    "cpp": _c,
    "rust": _rust,
    "ruby": _ruby,
}
