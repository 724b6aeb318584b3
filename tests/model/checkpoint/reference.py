"""Transformers' reading of a GGUF file's tokenizer, to compare ours with."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer


def reference_tokenizer(path: Path, pre: str) -> Tokenizer:
    """Return the tokenizer that transformers makes of a GGUF file.

    transformers knows no `smollm` and takes GPT-2's splits for it, so "  1" comes out
    otherwise than from SmolLM2's own tokenizer.json, which splits digits first; that is put right here.
    """
    architecture, data, _ = get_gguf_tokenizer(str(path))
    tokenizer, _ = convert_gguf_tokenizer(architecture, data)
    tokenizer.encode_special_tokens = True
    if pre == "smollm":
        published = {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        }
        tokenizer = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"pre_tokenizer": published}))
        tokenizer.encode_special_tokens = True
    return tokenizer
