"""How likely given text is in a gap."""

from __future__ import annotations

import torch

from model.api.types import Gap, TokenScore
from model.decoding.constraint import Spelling, Vocabulary
from model.decoding.gap_rows import GapRow, GapRows
from model.decoding.sampling import log_probabilities
from model.errors import InputError
from model.window import Window


def score_left_to_right(
    window: Window, vocabulary: Vocabulary, gap: Gap, text: str
) -> tuple[tuple[TokenScore, ...], float | None]:
    """Return the tokens of `text` in the gap that `window` stands at, each with its log-probability, and that of `<eoi>`.

    The tokens are the canonical ones of held-back piece + text, each taken
    under the constraint that decoding follows, all in one forward. The last
    value is None for a model that was not trained to stop.
    """
    capabilities = window.capabilities
    ids = window.tokenizer.encode(window.held_back[0] + window.tokenizer.readable(text))
    if len(ids) >= window.gap_free_ids(0):
        raise InputError(f"the text has {len(ids)} tokens: at most {window.gap_free_ids(0) - 1} fit into the gap")
    first_id, rows = window.gap_first_id(0), GapRows(window)
    if capabilities.infill_id is not None:
        logits = rows.feed(_chain([capabilities.infill_id, *ids], first_id, first_rank=0))
    else:
        logits = rows.feed([])
        if len(ids) > 1:
            logits = torch.cat((logits, rows.feed(_chain(ids[:-1], first_id, first_rank=1))))
    spelling = Spelling(vocabulary, window.held_back[0].encode())
    scores = []
    for token_id, token_logits in zip(ids, logits, strict=False):
        log_probs = log_probabilities(token_logits, spelling.allowed())
        spelling.push(token_id)
        scores.append(TokenScore(vocabulary.token_bytes[token_id].decode(errors="replace"), float(log_probs[token_id])))
    if not capabilities.infill:
        return tuple(scores), None
    return tuple(scores), float(log_probabilities(logits[len(ids)], spelling.allowed())[vocabulary.eoi_id])


def _chain(ids: list[int], first_id: int, first_rank: int) -> list[GapRow]:
    return [GapRow(token_id, first_id + n, first_rank + n, first_rank + n) for n, token_id in enumerate(ids)]
