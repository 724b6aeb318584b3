"""What is remembered of a suggestion, and what of it still fits a text that was edited since.

Knows strings and places in them; knows no files, no requests and no worker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_CLOSERS = frozenset(")]}\"'`>")


@dataclass(frozen=True)
class Place:
    """A cursor in a text: that of the document, or the one it would have if a completion had been chosen."""

    text: str
    cursor_char: int


@dataclass(frozen=True)
class Remembered:
    """Texts that may stand between `prefix` and `suffix`, the first of which was shown up to `shown_char`.

    `numbers` name what was shown of each to the client. A decode that is under way has one text, and none of it shown.
    """

    prefix: str
    suffix: str
    texts: tuple[str, ...]
    shown_char: int = 0
    numbers: tuple[int, ...] = ()
    was_invoked: bool = False  # by hand, which asks for more than typing does

    @classmethod
    def at(
        cls, place: Place, texts: tuple[str, ...], numbers: tuple[int, ...] = (), *, was_invoked: bool = False
    ) -> Remembered:
        """Return texts for a place. With numbers they are shown, the first of them whole."""
        prefix, suffix = place.text[: place.cursor_char], place.text[place.cursor_char :]
        return cls(prefix, suffix, texts, len(texts[0]) if numbers else 0, numbers, was_invoked)

    def typed(self, place: Place) -> tuple[str, str] | None:
        """Return what was typed here since, and what closing characters the editor added behind it.

        None when the text is not what it was but for that.
        """
        text, cursor_char = place.text, place.cursor_char
        start, behind = len(self.prefix), len(text) - len(self.suffix)
        if not (start <= cursor_char <= behind and text.startswith(self.prefix) and text.endswith(self.suffix)):
            return None
        added = text[cursor_char:behind]
        return (text[start:cursor_char], added) if _CLOSERS.issuperset(added) else None

    def is_on_the_way(self, place: Place) -> bool:
        """Whether what was typed here is a beginning of what was suggested, or all of it."""
        found = self.typed(place)
        return found is not None and self.texts[0].startswith(found[0])

    def rests(self, place: Place) -> dict[int, str]:
        """Return what is left of each text that still fits, by its index: none when the user went another way.

        A rest of blanks is nothing to show.
        """
        found = self.typed(place)
        if found is None:
            return {}
        typed, added = found
        return {
            index: rest
            for index, known in enumerate(self.texts)
            if known.startswith(typed)
            and known.endswith(added)
            and (rest := known[len(typed) : len(known) - len(added)]).strip()
        }

    def shown_rests(self, place: Place) -> dict[int, str]:
        """Return the rests of what was shown. Nothing of the first text, if all that was shown of it is typed."""
        rests = self.rests(place)
        if 0 in rests:
            shown = rests[0][: max(0, self.shown_char - self._typed_char(place))]
            rests = {**rests, 0: shown} if shown.strip() else {}
        return rests

    def unshown_rest(self, place: Place) -> str:
        """Return what follows of the first text once all that was shown of it is in the document, else nothing."""
        return "" if self.shown_rests(place) else self.rests(place).get(0, "")

    def showing(self, place: Place, part: str, number: int) -> Remembered:
        """Return this with `part` of the first text shown at a place. Where that was accepted no other text fits."""
        shown_char = self._typed_char(place) + len(part)
        return replace(self, texts=self.texts[:1], shown_char=shown_char, numbers=(number,))

    def continued(self, more: str) -> Remembered:
        """Return this with `more` behind the first text, not shown yet."""
        return replace(self, texts=(self.texts[0] + more, *self.texts[1:]))

    def draft(self, place: Place) -> str | None:
        """Return what of this may stand at a place now, None if nothing."""
        found = self.typed(place)
        if found is None:
            return None
        typed, _ = found
        for text in self.texts:
            if text.startswith(typed) and len(text) > len(typed):
                return text[len(typed) :]
        # If one key was another, what stands behind it may be right.
        return self.texts[0][len(typed) :] if len(self.texts[0]) > len(typed) > 0 else None

    def _typed_char(self, place: Place) -> int:
        return place.cursor_char - len(self.prefix)
