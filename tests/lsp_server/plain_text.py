"""A text as the plainest editor would hold it: lines by the protocol's rule, columns by adding up."""

from __future__ import annotations

import re
from typing import Any


class PlainText:
    def __init__(self, text: str, encoding: str) -> None:
        self.text = text
        self.encoding = encoding

    def starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(r"\r\n|\n|\r", self.text))]

    def width(self, text: str) -> int:
        if self.encoding == "utf-32":
            return len(text)
        encoded = text.encode("utf-8" if self.encoding == "utf-8" else "utf-16-le", "surrogatepass")
        return len(encoded) // (1 if self.encoding == "utf-8" else 2)

    def place(self, char: int) -> dict[str, int]:
        line = max(number for number, start in enumerate(self.starts()) if start <= char)
        return {"line": line, "character": self.width(self.text[self.starts()[line] : char])}

    def char(self, place: dict[str, int]) -> int:
        starts = self.starts()
        if place["line"] >= len(starts):
            return len(self.text)
        char = starts[place["line"]]
        while char < len(self.text) and self.text[char] not in "\r\n":
            if self.width(self.text[starts[place["line"]] : char + 1]) > place["character"]:
                break
            char += 1
        return char

    def replace(self, span: dict[str, Any], text: str) -> None:
        start, end = self.char(span["start"]), self.char(span["end"])
        self.text = self.text[:start] + text + self.text[end:]
