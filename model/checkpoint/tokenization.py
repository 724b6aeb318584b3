"""Text to tokens and back, byte for byte.

Wraps a byte-level BPE so that user text is always encoded as text (special
tokens off) and every token spells known bytes. Knows no model.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from tokenizers import Tokenizer

from model.errors import CheckpointError


class ByteTokenizer:
    """Byte-level BPE over plain text.

    `token_bytes[id]` is what a token spells; empty for special and unused ids.
    """

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        # A tokenizer without added tokens: "<|endoftext|>" typed by a user is just text.
        self._tokenizer = Tokenizer(tokenizer.model)
        self._tokenizer.pre_tokenizer = tokenizer.pre_tokenizer
        special = set(tokenizer.get_added_tokens_decoder())
        self.token_bytes: list[bytes] = [b""] * vocab_size
        for token, token_id in self._tokenizer.get_vocab(with_added_tokens=False).items():
            if token_id not in special:
                self.token_bytes[token_id] = _spelled(token)
        self._unreadable = _unreadable({spelled[0] for spelled in self.token_bytes if len(spelled) == 1})

    def readable(self, text: str) -> str:
        """Return `text`, of the same length, with every character that no tokens can spell replaced by U+FFFD.

        These are lone surrogates, which have no bytes, and the few characters
        with a byte that the vocabulary lacks (some control characters in SmolLM2).
        """
        return self._unreadable.sub("\ufffd", text)

    def encode(self, text: str) -> list[int]:
        """Return the canonical tokens of `text`. Special tokens are never produced."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_words(self, text: str) -> tuple[list[int], list[int], list[bool]]:
        """Return the tokens of `text`, the string index each starts in, and whether a pre-token starts with it."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        words = encoding.word_ids
        begins = [True, *(a != b for a, b in pairwise(words))] if words else []
        return encoding.ids, [start for start, _ in encoding.offsets], begins

    def pre_token_starts(self, text: str) -> list[int]:
        """Return the string index at which each pre-token of `text` starts."""
        pre_tokenizer = self._tokenizer.pre_tokenizer
        return [start for _, (start, _) in pre_tokenizer.pre_tokenize_str(text)]

    def spell(self, ids: list[int]) -> bytes:
        """Return the bytes that `ids` spell; special ids spell nothing."""
        return b"".join([self.token_bytes[i] for i in ids])


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes: printable Latin-1 is itself, the rest follows from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(256 + n): byte for n, byte in enumerate(others)})
    return alphabet


def _spelled(token: str) -> bytes:
    alphabet = _byte_alphabet()
    try:
        return bytes([alphabet[char] for char in token])
    except KeyError:
        return b""  # not of the byte alphabet: a special or unused entry of the vocabulary


def _unreadable(known_bytes: set[int]) -> re.Pattern[str]:
    """Return a pattern for the characters whose UTF-8 bytes are not all known."""
    ranges = ["\ud800-\udfff"]
    for byte in sorted(set(range(256)) - known_bytes):
        if byte < 0x80:
            ranges.append(re.escape(chr(byte)))
        elif byte in (0xF1, 0xF2, 0xF3):  # lead bytes of 2**18 characters each, nearly all unassigned
            ranges.append(f"{chr((byte - 0xF0) << 18)}-{chr(((byte - 0xEF) << 18) - 1)}")
        elif byte not in (0xC0, 0xC1) and byte < 0xF5:  # the others never occur in UTF-8
            raise CheckpointError(
                f"the tokenizer is not a byte-level BPE: it has no token for byte {byte:#x}; "
                "only byte-level BPE tokenizers (GPT-2, Llama 3, Qwen kinds) are supported"
            )
    return re.compile(f"[{''.join(ranges)}]")
