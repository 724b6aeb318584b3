"""Byte-level BPE tokenizers, as a session needs them: token ids spell the text's bytes and nothing else.

Knows the `tokenizers` package; knows no tensors and no checkpoint format.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.fim_formats import recognised
from model.errors import CheckpointError

# The splits before BPE, by `tokenizer.ggml.pre`. Sources: llama.cpp's llama-vocab.cpp for the names; the
# tokenizer.json files of SmolLM2, Qwen2 and Llama 3 for the splits themselves.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
GGUF_SPLITS = {
    "gpt-2": "gpt2",
    "gpt2": "gpt2",
    "smollm": "digits",
    "starcoder": "digits",
    "refact": "digits",
    "qwen2": "qwen2",
    "deepseek-r1-qwen": "qwen2",
    "llama-bpe": "llama3",
    "llama-v3": "llama3",
    "llama3": "llama3",
}
NORMAL_TOKEN, UNUSED_TOKEN = 1, 5  # llama.cpp's token types that are no special tokens
UNICODE_NORMALIZERS = ("NFC", "NFD", "NFKC", "NFKD")


def tokenizer_from_json(text: str, source: str) -> Tokenizer:
    """Return the byte-level BPE tokenizer of a `tokenizer.json`, reduced to spelling bytes.

    Normalizer, post-processor, padding and truncation go, because ids must
    spell the buffer as it is; special tokens are never found in text, so a
    file that contains "<|endoftext|>" cannot forge one. Raises
    CheckpointError for any other kind of tokenizer.
    """
    try:
        data = json.loads(text)
        _check_byte_level(data, source)
        for token in data["added_tokens"]:
            # Only special tokens can be switched off in encoding, so all added tokens become special.
            token.update(special=True, normalized=False, lstrip=False, rstrip=False, single_word=False)
        data.update(normalizer=None, post_processor=None, padding=None, truncation=None)
        tokenizer = Tokenizer.from_str(json.dumps(data))
    except CheckpointError:
        raise
    except Exception as error:  # tokenizers raises bare Exception for anything it cannot parse
        raise CheckpointError(f"{source} is not a readable tokenizer ({error}); get a fresh copy of it") from error
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.encode_special_tokens = True
    return tokenizer


def tokenizer_from_gguf(
    tokens: list[str], token_types: list[int], merges: list[str], pre_tokenizer: str, source: str
) -> Tokenizer:
    """Build the tokenizer that a GGUF file describes by vocabulary, merges and the name of its pre-tokenizer."""
    split = GGUF_SPLITS.get(pre_tokenizer)
    if split is None:
        raise CheckpointError(
            f"{source}: pre-tokenizer {pre_tokenizer!r} is not supported (known: {', '.join(sorted(GGUF_SPLITS))}); "
            "use the Hugging Face directory of the model instead"
        )
    try:
        kinds = dict(zip(tokens, token_types, strict=True))
        vocabulary = {token: index for index, token in enumerate(tokens) if kinds[token] != UNUSED_TOKEN}
        pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
        # Llama 3 takes a pre-token that is itself in the vocabulary whole, without merging.
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=split == "llama3"))
    except Exception as error:
        raise CheckpointError(
            f"{source}: vocabulary and merges do not fit together ({error}); get a fresh copy of the file"
        ) from error
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in kinds.items() if kind not in (NORMAL_TOKEN, UNUSED_TOKEN)]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.encode_special_tokens = True
    return tokenizer


def _pre_tokenizer(split: str) -> pre_tokenizers.PreTokenizer:
    if split == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if split == "digits":
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    pattern = Regex(QWEN2_SPLIT if split == "qwen2" else LLAMA3_SPLIT)
    only_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, behavior="isolated"), only_bytes])


def first_special_token(text: str) -> str | None:
    """Return the special token that a `tokenizer.json` puts before every text, None if none."""
    for step in _steps(json.loads(text).get("post_processor"), "processors"):
        first = step["single"][0] if step["type"] == "TemplateProcessing" and step["single"] else {}
        if "SpecialToken" in first:
            return str(first["SpecialToken"]["id"])
    return None


def unadapted_capabilities(
    tokenizer: Tokenizer, config: ModelConfig, candidates: list[Any], source: str, begin_id: int | None = None
) -> Capabilities:
    """Return what a checkpoint can do that was not adapted to set-causal infilling; some fill in the middle.

    The sink is `<|endoftext|>` where the vocabulary has it (SmolLM2, GPT-2,
    Qwen: documents were separated by it in pretraining), otherwise the first
    of `candidates` (beginning of text, then end of text) that is an id.
    """
    for token_id in candidates:
        if token_id is not None and not (type(token_id) is int and 0 <= token_id < config.vocab_size):
            raise CheckpointError(
                f"{source}: {token_id!r} as beginning or end of text is not the id of one of the model's "
                f"{config.vocab_size} tokens; get a fresh copy of it"
            )
    sink_id = _first([tokenizer.token_to_id("<|endoftext|>"), *candidates])
    if sink_id is None:
        raise CheckpointError(f"{source}: no <|endoftext|>, beginning or end of text among the special tokens")
    # Qwen2.5 and Qwen3 were trained on <|file_sep|>path\ncontent, SmolLM2 on <filename>path\ncontent.
    filename_id = _first([tokenizer.token_to_id("<filename>"), tokenizer.token_to_id("<|file_sep|>")])
    window = min(config.context_length, Capabilities.window)
    fim = recognised(tokenizer, config.architecture)
    return Capabilities(sink_id=sink_id, filename_id=filename_id, window=window, fim=fim, begin_id=begin_id)


def _first(ids: list[int | None]) -> int | None:
    return next((token_id for token_id in ids if token_id is not None), None)


def _check_byte_level(data: dict[str, Any], source: str) -> None:
    model = data["model"]
    advice = "only byte-level BPE tokenizers (GPT-2, SmolLM2, Qwen, Llama 3) are supported: choose a model with one"
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback"):
        raise CheckpointError(f"{source} is not byte-level BPE; {advice}")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix") or model.get("dropout"):
        raise CheckpointError(f"{source} marks its subwords or drops merges at random; {advice}")
    steps = _steps(data.get("pre_tokenizer"), "pretokenizers")
    if not steps or steps[-1]["type"] != "ByteLevel" or any(s["type"] not in ("Split", "Digits") for s in steps[:-1]):
        raise CheckpointError(f"{source} does not split its text into bytes; {advice}")
    if any(step.get("behavior") == "Removed" for step in steps):
        raise CheckpointError(f"{source} drops the text it splits at; {advice}")
    if steps[-1].get("add_prefix_space"):
        raise CheckpointError(f"{source} puts a space before every text, so ids do not spell it; {advice}")
    for step in _steps(data.get("normalizer"), "normalizers"):
        if step["type"] not in UNICODE_NORMALIZERS:
            raise CheckpointError(f"{source} rewrites its text ({step['type']}); {advice}")


def _steps(node: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if node is None:
        return []
    return [*node[key]] if node["type"] == "Sequence" else [node]
