"""Where text is cut for the gap buffer: pure functions on strings, no tensors.

* The left stack ends at the last pre-token boundary before the cursor; the rest
  is the held-back piece.
* The right stack is cut into chunks that begin with the newline ending the line
  before.
* Where a gap is whole lines, the break that ends its last line is shown behind it.
* Re-tokenising after an edit begins at a boundary that the edit cannot move.

Sessions, scoring, training and evaluation all cut here (`lay_out`), so what a
model is trained on is what it is shown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from model.api.edits import common_prefix_chars
from model.api.line_breaks import LINE_BREAK
from model.checkpoint.tokenization import ByteTokenizer

HELD_BACK_BYTES = 32  # the held-back piece is at most this long
_CUT_CHARS = 4 * HELD_BACK_BYTES  # so much text before a place decides where the piece begins

# A pre-tokenizer looks ahead through a run of white space, or three characters
# for contractions ("'re"), so a boundary followed by this much settled text stays.
_LOOK_AHEAD_CHARS = 3

_ENDING_BREAK = re.compile(rf"(?:{LINE_BREAK.pattern})\Z")


@dataclass(frozen=True)
class Encoded:
    """Text with its canonical tokens. `starts[i]` is the string index of token i's first character."""

    text: str
    ids: list[int]
    starts: list[int]
    begins_pre_token: list[bool]


EMPTY = Encoded("", [], [], [])


@dataclass(frozen=True)
class Chunk:
    """A piece of text that is encoded by itself: a right-stack chunk or an island between gaps."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Layout:
    """Where a text is cut around one or several gaps, in string indices and pieces of it."""

    cut: int  # the left stack ends here
    held_back: list[str]  # per gap, what its tokens spell first
    endings: list[str]  # per gap, the line break that its infill shares with the text behind it
    middles: list[str]  # per pair of gaps, what the islands between them spell
    spans: list[tuple[int, int]]  # per gap, where it begins and where what is shown behind it does: at a shared break

    @property
    def end(self) -> int:
        """The string index at which the right stack begins."""
        return self.spans[-1][1]

    def gap_ids(self, tokenizer: ByteTokenizer, index: int, text: str) -> list[int]:
        """Return the canonical tokens of gap `index` filled with `text`: those of the held-back piece come first.

        A break at the end of `text` that the text behind shows already is left out.
        """
        return tokenizer.encode(self.held_back[index] + tokenizer.readable(text).removesuffix(self.endings[index]))


def lay_out(tokenizer: ByteTokenizer, text: str, gaps: Sequence[tuple[int, int]]) -> Layout:
    """Return where `text` is cut around `gaps` [begin, end), which are ascending and apart."""
    endings = [shared_break(text, *gap) for gap in gaps]
    spans = [(begin, end - len(ending)) for (begin, end), ending in zip(gaps, endings, strict=True)]
    begins = [0, *(end for _, end in spans[:-1])]  # of what stands before each gap
    cuts = [_cut_before(tokenizer, text, before, begin) for before, (begin, _) in zip(begins, spans, strict=True)]
    held_back = [text[cut:begin] for cut, (begin, _) in zip(cuts, spans, strict=True)]
    middles = [text[begin:cut] for begin, cut in zip(begins[1:], cuts[1:], strict=True)]
    return Layout(cuts[0], held_back, endings, middles, spans)


def _cut_before(tokenizer: ByteTokenizer, text: str, begin: int, end: int) -> int:
    tail = max(begin, end - _CUT_CHARS)
    return tail + left_cut(tokenizer, text[tail:end])


def header_ids(
    tokenizer: ByteTokenizer, sink_id: int, filename_id: int | None, path: str, path_tokens: int | None = None
) -> list[int]:
    """Return the rows that the text of a file begins with: the sink, then `<filename>`, the path and a newline.

    A model without `<filename>`, or text without a path, has the sink alone.
    Of a long path the last `path_tokens` are kept.
    """
    if filename_id is None or not path:
        return [sink_id]
    path_ids = tokenizer.encode(tokenizer.readable(path) + "\n")
    kept = path_ids if path_tokens is None else path_ids[-path_tokens:]
    return [sink_id, filename_id, *kept]


def left_cut(tokenizer: ByteTokenizer, prefix: str) -> int:
    """Return the string index in `prefix` at which the held-back piece begins.

    The piece is the last pre-token; if that is white space, the whole run of it;
    and at most `HELD_BACK_BYTES` bytes.
    """
    tail_begin = max(0, len(prefix) - _CUT_CHARS)
    starts = tokenizer.pre_token_starts(prefix[tail_begin:])
    cut = len(prefix)
    while starts:
        start = tail_begin + starts.pop()
        if cut < len(prefix) and not prefix[start:].isspace():
            break
        cut = start
    cut = max(cut, len(prefix) - HELD_BACK_BYTES)
    while len(prefix[cut:].encode()) > HELD_BACK_BYTES:
        cut += 1
    return cut


def encode(tokenizer: ByteTokenizer, text: str) -> Encoded:
    """Return the canonical tokens of `text` with where each starts."""
    ids, starts, begins = tokenizer.encode_words(text)
    return Encoded(text, ids, starts, begins)


def re_encode(tokenizer: ByteTokenizer, old: Encoded, text: str) -> Encoded:
    """Return `encode(tokenizer, text)`, re-using the tokens of `old` before the first change."""
    keep = _settled_tokens(old, common_prefix_chars(old.text, text))
    if not keep:
        return encode(tokenizer, text)
    begin = old.starts[keep]
    tail = encode(tokenizer, text[begin:])
    return Encoded(
        text,
        old.ids[:keep] + tail.ids,
        old.starts[:keep] + [begin + start for start in tail.starts],
        old.begins_pre_token[:keep] + tail.begins_pre_token,
    )


def _settled_tokens(old: Encoded, same_chars: int) -> int:
    """Return how many tokens of `old` surely stand before any text that agrees in its first `same_chars`."""
    settled = old.text[: max(0, same_chars - _LOOK_AHEAD_CHARS)].rstrip()
    # Every run of white space that ends before the last settled character has been seen whole.
    keep = bisect_left(old.starts, len(settled)) - 1
    while keep > 0 and not old.begins_pre_token[keep]:
        keep -= 1
    return max(keep, 0)


def shared_break(text: str, gap_start: int, gap_end: int) -> str:
    """Return the line break that a gap of whole lines shares with the text behind it; "" for any other gap.

    Such a gap begins a line and ends where another begins, with text on it or at
    the end of the file. What fills it must end with a break, or it would run
    into that text. So the right stack begins with the break before `gap_end`,
    which may be the one before a cursor, and every infill ends where a line does.
    """
    found = _ENDING_BREAK.search(text, max(0, gap_end - 2), gap_end)
    if found is None or text[gap_end : gap_end + 1] in ("\r", "\n"):
        return ""
    begins_line = gap_start == 0 or text[gap_start - 1] in "\r\n"
    is_cursor = gap_start == gap_end
    return found[0] if is_cursor or (begins_line and gap_start <= found.start()) else ""


def chunk_texts(tokenizer: ByteTokenizer, text: str, chunk_tokens: int) -> list[str]:
    """Cut `text` into right-stack chunks of at most about `chunk_tokens`, the last of the text first."""
    encoded = encode(tokenizer, text)
    chunks: list[str] = []
    end = len(text)
    while (end_tok := bisect_left(encoded.starts, end)) > chunk_tokens:
        begin = _chunk_begin(encoded, end_tok - chunk_tokens, end_tok, end)
        chunks.append(text[begin:end])
        end = begin
    return [*chunks, text[:end]] if end else chunks


def encode_chunks(tokenizer: ByteTokenizer, text: str, chunk_tokens: int) -> list[Chunk]:
    """Return `chunk_texts`, each encoded by itself."""
    return [Chunk(chunk, tokenizer.encode(chunk)) for chunk in chunk_texts(tokenizer, text, chunk_tokens)]


def chunks_between(
    tokenizer: ByteTokenizer, text: str, bounds: Iterable[int], chunk_tokens: int
) -> list[tuple[int, list[int]]]:
    """Return the chunks from the first of `bounds` to the last, at each of which one begins: the farthest first.

    Each is the string index at which it begins, and its tokens.
    """
    found: list[tuple[int, list[int]]] = []
    for begin, end in reversed(list(pairwise(sorted(bounds)))):
        for chunk in encode_chunks(tokenizer, text[begin:end], chunk_tokens):
            end -= len(chunk.text)
            found.append((end, chunk.ids))
    return found


def rows_seen_from(chunks: Sequence[tuple[int, list[int]]], end: int) -> dict[int, int]:
    """Return how many rows of a right stack of `chunks` up to `end` stand from each place on, its sink row included."""
    rows = accumulate((len(ids) for _, ids in chunks), initial=1)
    return dict(zip([end, *(begin for begin, _ in chunks)], rows, strict=True))


def _chunk_begin(encoded: Encoded, first_tok: int, end_tok: int, end: int) -> int:
    """Return the best place for a chunk to begin among the tokens given: a line break, else a pre-token, else any.

    The place is before `end`, which may lie inside the last of the tokens.
    """
    earliest = encoded.starts[first_tok]
    if encoded.text[earliest - 1 : earliest + 1] == "\r\n":
        return earliest - 1
    if found := LINE_BREAK.search(encoded.text, earliest, end):
        return found.start()
    for token in range(first_tok, end_tok):
        if encoded.begins_pre_token[token]:
            return encoded.starts[token]
    return earliest


def common_prefix(a: Sequence[object], b: Sequence[object]) -> int:
    """Return how many items the lists `a` and `b` have in common at their beginnings."""
    shorter = min(len(a), len(b))
    if a[:shorter] == b[:shorter]:
        return shorter
    return next(index for index in range(shorter) if a[index] != b[index])
