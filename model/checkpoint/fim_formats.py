"""How models were trained to fill in the middle (FIM, arXiv 2207.14255): one row for each family, with its source.

A row says in which order prefix and suffix stand and which markers stand
between them, as the family's own card, paper or repository tells it. A model is
recognised by its architecture and its tokenizer's special tokens, never by its
name. Knows tokenizers; knows no tensors and no sessions.

Not here: CodeLlama, Codestral and CodeGemma, whose tokenizers are no byte-level
BPE, and StarCoder 1, Granite Code 20B and 34B, DeepSeek-Coder-V2 and
Qwen3-Coder, whose architectures do not run: loading refuses them. Nor Granite
3.3 and 4, which have FIM markers: no source of theirs was found that states the
order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from model.errors import CheckpointError

if TYPE_CHECKING:  # whoever only wants the names does without the package
    from tokenizers import Tokenizer

PREFIX, SUFFIX, PATH, TEXT = "{prefix}", "{suffix}", "{path}", "{text}"


@dataclass(frozen=True)
class FimFormat:
    """The sequence that one family was trained on.

    Templates hold markers as they are and `{prefix}`, `{suffix}`, `{path}` and
    `{text}`; what fills a gap follows `sequence`.
    """

    name: str
    models: str
    architectures: tuple[str, ...]
    sequence: str  # of a file whose path is not known, or for which the family has no marker
    ends: tuple[str, ...]  # each of these ends an infill, the first is what training put behind it
    source: str
    named: str = ""  # `sequence` for a file whose path is known
    opening: str = ""  # before all files that are named
    snippet: str = ""  # another file; "": the family has no marker for them
    has_also: tuple[str, ...] = ()  # special tokens that tell the family from others
    lacks: tuple[str, ...] = ()
    markers: tuple[str, ...] = field(init=False)  # all that the templates hold

    def __post_init__(self) -> None:
        templates = self.sequence + self.named + self.opening + self.snippet
        object.__setattr__(self, "markers", tuple(dict.fromkeys(re.findall(r"<[^<>{}\s]+>", templates))))

    @property
    def grows_at_its_end(self) -> bool:
        """Whether what is typed before a gap is appended, because the suffix stands before the prefix.

        Else every new token of the prefix has the suffix encoded anew.
        """
        return self.sequence.index(SUFFIX) < self.sequence.index(PREFIX)

    def parts(self, template: str) -> list[str]:
        """Return the markers, the holes and the text between them of one of the templates, in order."""
        known = "|".join(map(re.escape, (*self.markers, PREFIX, SUFFIX, PATH, TEXT)))
        return [part for part in re.split(f"({known})", template) if part]


_QWEN = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
_DEEPSEEK = "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>"
_MELLUM = "<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>"

# A session does not know what its repository is called. llama.cpp's server, which cannot know either, writes
# "myproject" where this stands (tools/server, format_prompt_infill).
_REPOSITORY = "workspace"

FORMATS = (
    FimFormat(
        name="qwen2.5-coder",
        models="Qwen2.5-Coder",
        architectures=("qwen2",),
        sequence=_QWEN,
        named="<|file_sep|>{path}\n" + _QWEN,
        opening=f"<|repo_name|>{_REPOSITORY}\n",
        snippet="<|file_sep|>{path}\n{text}\n",
        ends=("<|endoftext|>", "<|fim_pad|>", "<|im_end|>"),
        source="Qwen2.5-Coder Technical Report, arXiv 2409.12186, figures 3 and 4 (prefix, suffix, middle only); "
        "the ends are those of examples/Qwen2.5-Coder-repolevel-fim.py in github.com/QwenLM/Qwen2.5-Coder",
    ),
    FimFormat(
        name="starcoder2",
        models="StarCoder2",
        architectures=("starcoder2",),
        sequence="<fim_prefix><fim_suffix>{suffix}<fim_middle>{prefix}",
        named="<file_sep><fim_prefix><fim_suffix>{suffix}<fim_middle>{path}\n{prefix}",
        opening=f"<repo_name>{_REPOSITORY}",
        snippet="<file_sep>{path}\n{text}",
        ends=("<file_sep>", "<|endoftext|>"),
        source="StarCoder 2 and The Stack v2, arXiv 2402.19173, section 5.1: FIM applied to one file, path included, "
        "within a repository; its authors in github.com/bigcode-project/starcoder2/issues/10: FIM as in StarCoder, "
        "<file_sep> stops; the order with the suffix first, as here, for half of the documents: permute() in the "
        "trainer of StarCoder, github.com/bigcode-project/Megatron-LM, megatron/data/gpt_dataset.py",
    ),
    FimFormat(
        name="mellum",
        models="Mellum-4b",
        architectures=("llama",),
        sequence=_MELLUM,
        named="<filename>{path}\n" + _MELLUM,
        snippet="<filename>{path}\n{text}\n",
        ends=("<|endoftext|>",),
        source="model card huggingface.co/JetBrains/Mellum-4b-base, which has no order but suffix, prefix, middle",
        has_also=("<assistant>",),
    ),
    FimFormat(
        name="granite-code",
        models="Granite Code 3B and 8B",
        architectures=("llama",),
        sequence="<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
        ends=("<|endoftext|>",),
        source="its authors in github.com/ibm-granite/granite-code-models/issues/3, with an example",
        lacks=("<assistant>",),
    ),
    FimFormat(
        name="deepseek-coder",
        models="DeepSeek-Coder 1.3B, 5.7B, 6.7B and 33B",
        architectures=("llama",),
        sequence=_DEEPSEEK,
        ends=("<｜end▁of▁sentence｜>", "<|EOT|>"),
        source="README.md of github.com/deepseek-ai/DeepSeek-Coder; arXiv 2401.14196, section 3.1: "
        "prefix, suffix, middle only, for half of the documents",
    ),
    FimFormat(
        name="seed-coder",
        models="Seed-Coder-8B",
        architectures=("llama",),
        sequence="<[fim-suffix]>{suffix}<[fim-prefix]>{prefix}<[fim-middle]>",
        ends=("<[end▁of▁sentence]>",),
        source="Seed-Coder, arXiv 2506.03524, section 2.2: suffix, prefix, middle only",
    ),
)


def recognised(tokenizer: Tokenizer, architecture: str) -> str | None:
    """Return the name of the format that a model of this architecture and tokenizer was trained on, None if of none."""
    special = _special_tokens(tokenizer)
    for each in FORMATS:
        needed = {*each.markers, each.ends[0], *each.has_also}
        if architecture in each.architectures and needed <= special.keys() and not special.keys() & {*each.lacks}:
            return each.name
    return None


def format_named(name: str) -> FimFormat:
    """Return the row called `name`. Raises CheckpointError for another name."""
    for each in FORMATS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in FORMATS)
    raise CheckpointError(f"no way to fill in the middle is called {name!r:.60}: this Setfill knows {names}")


def marker_ids(form: FimFormat, tokenizer: Tokenizer) -> dict[str, int]:
    """Return the token ids of the markers and ends of `form`. Raises CheckpointError for a marker that is missing.

    Of the ends, those that the tokenizer lacks are left out, but for the first.
    """
    special = _special_tokens(tokenizer)
    if missing := [marker for marker in (*form.markers, form.ends[0]) if marker not in special]:
        raise CheckpointError(
            f"the tokenizer has no special token {missing[0]}, by which {form.name} models fill in the middle"
        )
    return {token: special[token] for token in (*form.markers, *form.ends) if token in special}


def _special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    return {token.content: token_id for token_id, token in tokenizer.get_added_tokens_decoder().items()}
