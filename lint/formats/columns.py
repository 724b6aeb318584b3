"""Columns as others count them: from 1, in UTF-16 units or UTF-8 bytes. Ours are code points, from 0."""

from __future__ import annotations

from lint.records import ChangedFile, Report, Span

Lines = dict[str, tuple[str, ...]]


def lines_of(report: Report) -> Lines:
    """The lines of each file that was looked at, by its path."""
    return {file.path: file.lines for file in report.patch.files}


def file_of(report: Report, path: str) -> ChangedFile | None:
    """The file of that path, None where the patch has none."""
    return next((file for file in report.patch.files if file.path == path), None)


def utf16_columns(span: Span, lines: Lines, path: str) -> tuple[int, int]:
    """The columns of both ends, from 1, in UTF-16 units."""
    return _columns(span, lines.get(path, ()), "utf-16-le", 2)


def utf8_columns(span: Span, lines: Lines, path: str) -> tuple[int, int]:
    """The columns of both ends, from 1, in bytes of UTF-8."""
    return _columns(span, lines.get(path, ()), "utf-8", 1)


def _columns(span: Span, lines: tuple[str, ...], encoding: str, unit_bytes: int) -> tuple[int, int]:
    def column(line: int, column_char: int) -> int:
        text = lines[line - 1][:column_char] if 0 < line <= len(lines) else ""
        return len(text.encode(encoding, "surrogatepass")) // unit_bytes + 1

    return column(span.line, span.column), column(span.end_line, span.end_column)
