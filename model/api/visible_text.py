"""Text as a person may be shown it: what a terminal or a page would obey, or hide, becomes a sign that is seen.

Source code, paths and messages are other people's text. They may hold escape sequences, which move a terminal's
cursor or colour what follows, and characters that turn the direction of the text around them or have no width.
"""

from __future__ import annotations

_SIGNS: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "␡"}
_SIGNS |= dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), "�")  # C1 controls, lone surrogates
# Breaks of lines that are none to us, directions, what has no width, tags. Not the joiners, which words and emoji need.
_FORMATS = (
    0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF,
    *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip
_SIGNS |= {code: f"<U+{code:04X}>" for code in _FORMATS}


def visible(text: str) -> str:
    """Return `text` with signs in place of control and formatting characters; its line feeds and tabs stay."""
    return text.translate(_SIGNS)


def visible_line(text: str) -> str:
    """Return `text` as one line, for a path or a message: a line feed and a tab are signs, too."""
    return visible(text).replace("\n", "␊").replace("\t", "␉")
