"""The rows around a gap of a model that fills in the middle: markers, paths, other files, prefix and suffix in order.

Texts become tokens as any text does, markers are put between them by id: no
text of a user's can be one. Knows the order (`model.checkpoint.fim_formats`)
and a tokenizer; knows no cache and no windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.api.types import Snippet
from model.checkpoint.fim_formats import PATH, PREFIX, SUFFIX, TEXT, FimFormat, format_named, marker_ids
from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer


@dataclass(frozen=True)
class FimFrame:
    """What stands around prefix and suffix, one of which comes first."""

    before: list[int]
    suffix_first: bool
    between: list[int]
    behind: list[int]

    def rows(self, prefix_ids: Sequence[int], suffix_ids: Sequence[int]) -> list[int]:
        """Return all rows before the gap."""
        first, second = (suffix_ids, prefix_ids) if self.suffix_first else (prefix_ids, suffix_ids)
        return [*self.before, *first, *self.between, *second, *self.behind]


@dataclass(frozen=True)
class FimPrompt:
    """One model's way to fill in the middle."""

    form: FimFormat
    tokenizer: ByteTokenizer
    marker_ids: Mapping[str, int]
    begin_id: int | None

    @classmethod
    def of(cls, checkpoint: Checkpoint, tokenizer: ByteTokenizer) -> FimPrompt | None:
        """Return how a checkpoint fills in the middle, None if it was not trained to."""
        known = checkpoint.capabilities
        if known.fim is None:
            return None
        form = format_named(known.fim)
        return cls(form, tokenizer, marker_ids(form, checkpoint.tokenizer), known.begin_id)

    @property
    def end_ids(self) -> list[int]:
        """The tokens that end an infill, the one that was trained to first. No marker stands inside of one."""
        ends = [*self.form.ends, *self.form.markers]
        return [self.marker_ids[end] for end in dict.fromkeys(ends) if end in self.marker_ids]

    @property
    def shows_other_files(self) -> bool:
        return bool(self.form.snippet)

    def snippet_ids(self, snippet: Snippet, most_rows: int) -> list[int]:
        """Return the rows of another file, the first `most_rows` of them."""
        text = self.tokenizer.readable(snippet.text)
        if self.form.snippet.endswith(TEXT + "\n"):
            text = text.removesuffix("\n")
        holes = {PATH: self.tokenizer.readable(snippet.path), TEXT: text}
        return self._ids(self.form.parts(self.form.snippet), holes)[:most_rows]

    def frame(self, path: str, path_tokens: int, snippets: Sequence[Sequence[int]]) -> FimFrame:
        """Return what stands around prefix and suffix of the file at `path`; of a long path, its last `path_tokens`.

        `snippets` are rows of other files. They stand before those of a file that is named.
        """
        named = bool(path and self.form.named)
        parts = self.form.parts(self.form.named if named else self.form.sequence)
        first, second = sorted((parts.index(PREFIX), parts.index(SUFFIX)))
        holes = {PATH: self._end_of(self.tokenizer.readable(path), path_tokens)}
        before = [] if self.begin_id is None else [self.begin_id]
        if named:
            before += self._ids(self.form.parts(self.form.opening), {})
            before += [token_id for ids in snippets for token_id in ids]
        return FimFrame(
            [*before, *self._ids(parts[:first], holes)],
            parts[first] == SUFFIX,
            self._ids(parts[first + 1 : second], holes),
            self._ids(parts[second + 1 :], holes),
        )

    def _end_of(self, path: str, path_tokens: int) -> str:
        _, starts, _ = self.tokenizer.encode_words(path)
        return path[starts[-path_tokens] :] if len(starts) > path_tokens else path

    def _ids(self, parts: Sequence[str], holes: Mapping[str, str]) -> list[int]:
        """Return the ids of markers, and of the texts between them each encoded as a whole."""
        ids: list[int] = []
        text = ""
        for part in parts:
            if part in self.form.markers:
                ids += [*self.tokenizer.encode(text), self.marker_ids[part]]
                text = ""
            else:
                text += holes.get(part, part)
        return ids + self.tokenizer.encode(text)
