"""Tiny models that fill in the middle: random weights, the tiny tokenizer with a family's markers, its architecture.

`card_ids` spells a sequence as the family's card does: one string with the
markers in it, which the tokenizer finds there, as transformers' does. It is
written down here once more, without the package's table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from tests.model.checkpoint_files import ROPE_LINEAR, save_huggingface
from tests.model.tiny import tiny_tokenizer

QWEN = "<|repo_name|>workspace\n{files}<|file_sep|>{path}\n<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
STARCODER2 = "<repo_name>workspace{files}<file_sep><fim_prefix><fim_suffix>{suffix}<fim_middle>{path}\n\0{prefix}"
MELLUM = "{files}<filename>{path}\n<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>"
BEGIN = "<｜begin▁of▁sentence｜>"

# name: architecture and its options, special tokens, what the card says, another file in it, what ends an infill
FAMILIES: dict[str, tuple[str, dict[str, Any], list[str], str, str, str]] = {
    "qwen2.5-coder": (
        "Qwen2", {},
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
         "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"],
        QWEN, "<|file_sep|>{path}\n{text}\n", "<|endoftext|>",
    ),
    "starcoder2": (
        "Starcoder2", {"sliding_window": 400},
        ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<repo_name>", "<file_sep>"],
        STARCODER2, "<file_sep>{path}\n{text}", "<file_sep>",
    ),
    "mellum": (
        "Llama", {},
        ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<reponame>",
         "<assistant>"],
        MELLUM, "<filename>{path}\n{text}\n", "<|endoftext|>",
    ),
    "granite-code": (
        "Llama", {"attention_bias": True, "mlp_bias": True},
        ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<reponame>"],
        "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>", "", "<|endoftext|>",
    ),
    "deepseek-coder": (
        "Llama", {"rope_parameters": ROPE_LINEAR},
        [BEGIN, "<｜end▁of▁sentence｜>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
        BEGIN + "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>", "", "<｜end▁of▁sentence｜>",
    ),
    "seed-coder": (
        "Llama", {"num_key_value_heads": 1},
        ["<[begin▁of▁sentence]>", "<[end▁of▁sentence]>", "<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>"],
        "<[fim-suffix]>{suffix}<[fim-prefix]>{prefix}<[fim-middle]>", "", "<[end▁of▁sentence]>",
    ),
}  # fmt: skip


def fim_tokenizer(family: str) -> Tokenizer:
    """The tiny tokenizer with the special tokens of a family, which it finds in text."""
    tokenizer = Tokenizer.from_str(tiny_tokenizer().to_str())
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in FAMILIES[family][2]])
    return tokenizer


def save_fim_model(directory: Path, family: str, likes_to_end: float = 1.0, **options: Any) -> Any:
    """Save a random model of a family as a Hugging Face directory, and return transformers' network.

    The row of the head that ends an infill is multiplied by `likes_to_end`.
    """
    kind, own_options, *_ = FAMILIES[family]
    tokenizer = fim_tokenizer(family)
    options = own_options | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 1024} | options
    network = save_huggingface(directory, kind, **options).eval()
    with torch.no_grad():
        network.get_output_embeddings().weight[tokenizer.token_to_id(FAMILIES[family][5])] *= likes_to_end
    network.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    if family == "deepseek-coder":
        settings = {"add_bos_token": True, "bos_token": {"content": BEGIN, "lstrip": False}}
        (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return network


def card_ids(family: str, path: str, prefix: str, suffix: str, files: list[tuple[str, str]] | None = None) -> list[int]:
    """Return the tokens of what the family's card would have a user send."""
    _, _, _, card, file, _ = FAMILIES[family]
    others = "".join(file.format(path=name, text=text) for name, text in files or ()).replace("\n\n", "\n")
    sent = card.format(files=others, path=path, prefix=prefix, suffix=suffix)
    tokenizer = fim_tokenizer(family)
    # A zero stands where no token may go across: the text of a file begins with a token of its own.
    return [token for piece in sent.split("\0") for token in tokenizer.encode(piece, add_special_tokens=False).ids]


def logits_after(network: Any, ids: list[int], last: int = 1) -> Tensor:
    """Return transformers' logits [last, V] of the last rows of a sequence, from nothing."""
    with torch.no_grad():
        logits: Tensor = network(torch.tensor([ids])).logits[0, -last:]
    return logits
