"""How likely given text is in a gap: left to right by the clean head, in other orders by mask rows.

For an ordered partition s_1, s_2, ... of the gap's positions (docs/design.md, section 1)

    p(x) = prod_n  p(x[s_n] | x[s_1], ..., x[s_{n-1}])

and one forward gives all factors: clean rows see the sets before their own, mask
rows stand at every position beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations

import torch
from torch import Tensor

from model.api.policy import UNIFORM_MAX_TOKENS, OrderPolicy
from model.api.types import GapScore, TokenScore
from model.decoding.any_order import ending_distribution
from model.decoding.gap_row import UNSEEN, GapRow
from model.decoding.gap_rows import GapRows
from model.decoding.hitting_times import hitting_times
from model.decoding.row_tree import RowTree, TreeRow
from model.decoding.sampling import log_probabilities
from model.decoding.spelling import Spelling, Vocabulary
from model.errors import Cancelled, InputError
from model.sessions.window import Window

_LEAST_LOG_PROBABILITY = -200.0  # exp of that is 0 in float32


def score_left_to_right(window: Window, vocabulary: Vocabulary, text: str) -> GapScore:
    """Return the likelihood of `text` in the first gap of `window`, under the constraint that decoding follows."""
    capabilities = window.capabilities
    ids = text_ids(window, text)
    first_id, rows = window.gap_first_id(0), GapRows(window)
    if capabilities.infill_id is not None:
        logits = rows.feed(chain([capabilities.infill_id, *ids], first_id, first_rank=0))
    else:
        logits = rows.feed([])
        followed = ids if capabilities.sees_suffix else ids[:-1]  # by a further token, or by the end
        if followed:
            logits = torch.cat((logits, rows.feed(chain(followed, first_id, first_rank=1))))
    return clean_score(vocabulary, window.layout.held_back[0], ids, logits, stops=capabilities.sees_suffix)


def score_as_text(window: Window, vocabulary: Vocabulary, text: str) -> tuple[TokenScore, ...]:
    """Return the scores of `text` in the first gap of `window` by rows that follow the left stack and know no gap."""
    ids, first_id = text_ids(window, text), window.gap_first_id(0)
    rows = [TreeRow(token_id, first_id + n, range(n), follows_left=True) for n, token_id in enumerate(ids)]
    logits = RowTree(window).feed(rows)
    return text_scores(vocabulary, window.layout.held_back[0], ids, logits, window.capabilities.sink_id)


def clean_score(vocabulary: Vocabulary, held_back: str, ids: Sequence[int], logits: Tensor, stops: bool) -> GapScore:
    """Return the score of `ids` from clean rows' `logits`: row n predicts token n, the row after the last, `<eoi>`."""
    spelling = Spelling(vocabulary, held_back.encode())
    allowed = [spelling.allowed()]
    for token_id in ids:
        spelling.push(token_id)
        allowed.append(spelling.allowed())
    scores = _token_scores(vocabulary, ids, logits[: len(ids)], allowed[:-1])
    stop = float(log_probabilities(logits[len(ids)], allowed[-1])[vocabulary.eoi_id]) if stops else None
    return GapScore(scores, sum(score.logprob for score in scores), stop)


def text_scores(
    vocabulary: Vocabulary, held_back: str, ids: Sequence[int], logits: Tensor, sink_id: int
) -> tuple[TokenScore, ...]:
    """Return the scores of `ids` from `logits` of rows that follow the left stack: row n predicts token n."""
    spelling = Spelling(vocabulary, held_back.encode())
    allowed = []
    for token_id in ids:
        allowed.append(spelling.allowed_as_text(sink_id))
        spelling.push(token_id)
    return _token_scores(vocabulary, ids, logits[: len(ids)], allowed)


def _token_scores(
    vocabulary: Vocabulary, ids: Sequence[int], logits: Tensor, allowed: Sequence[Tensor]
) -> tuple[TokenScore, ...]:
    """Return the scores of `ids` from `logits` [len(ids), V], each of which may be one of the tokens `allowed` [V]."""
    if not ids:
        return ()
    log_probs = log_probabilities(logits, torch.stack(list(allowed)))
    probs = log_probs.exp()
    # sum(p * log p), in one pass; what is not allowed counts for nothing, and must not be 0 * -inf.
    entropies = -torch.linalg.vecdot(probs, log_probs.clamp_min(_LEAST_LOG_PROBABILITY))
    found = (log_probs.gather(1, torch.tensor(ids)[:, None])[:, 0], log_probs.amax(-1), entropies)
    return tuple(
        TokenScore(_text(vocabulary, token_id), logprob, "clean", best, entropy)
        for token_id, logprob, best, entropy in zip(ids, *(each.tolist() for each in found), strict=True)
    )


def score_in_orders(
    window: Window,
    vocabulary: Vocabulary,
    text: str,
    policy: OrderPolicy,
    orders: int,
    generator: torch.Generator,
    cancelled: Callable[[], bool] = lambda: False,
) -> GapScore:
    """Return the likelihood of `text` in the first gap that `window` stands at, its positions revealed one by one.

    Over the policy's own random orders: `orders` draws of them, or for
    `uniform` every permutation once, if they are no more. Under `uniform` the
    end is known first, under the others it comes last. Raises Cancelled between
    forwards, and InputError.
    """
    _mask_rows_needed(window)
    ids = text_ids(window, text)
    if policy.kind == "uniform" and len(ids) > UNIFORM_MAX_TOKENS:
        raise InputError(f"the text has {len(ids)} tokens: policy uniform knows at most {UNIFORM_MAX_TOKENS}")
    ends_first = policy.kind == "uniform"
    end_rank = len(ids) + 1
    drawn: Iterable[Sequence[int]]
    if policy.kind == "uniform" and math.factorial(len(ids)) <= orders:
        orders = math.factorial(len(ids))
        drawn = permutations(range(1, end_rank))
    else:
        times = (hitting_times(policy, len(ids), generator) for _ in range(orders))
        drawn = ([index + 1 for index in hit.argsort(stable=True).tolist()] for hit in times)
    totals, by_rank = [], torch.zeros(len(ids), dtype=torch.float64)
    stop = score_ending(window, vocabulary, end_rank) if ends_first else 0.0
    for order in drawn:
        if cancelled():
            raise Cancelled("the request was cancelled")
        sets = [[rank] for rank in ([end_rank, *order] if ends_first else [*order, end_rank])]
        log_probs = score_sets(window, [*ids, vocabulary.eoi_id], sets)
        by_rank += log_probs[:-1] / orders
        totals.append(log_probs[:-1].sum())
        if not ends_first:
            stop += float(log_probs[-1]) / orders
    logprob = float(torch.stack(totals).logsumexp(0)) - math.log(len(totals))
    tokens = [
        TokenScore(_text(vocabulary, token_id), float(value), "mask")
        for token_id, value in zip(ids, by_rank, strict=True)
    ]
    return GapScore(tuple(tokens), logprob, stop)


def score_sets(window: Window, ids: Sequence[int], sets: Sequence[Sequence[int]]) -> Tensor:
    """Return log p of every token [len(ids)] float64, given that ranks 1, 2, ... are revealed in `sets`.

    `ids` may end with `<eoi>`. Within a set no mask row sees another token of
    it. No constraint: the sum over all texts of one length is one.
    """
    infill_id, mask_id = _mask_rows_needed(window)
    if sorted(rank for revealed in sets for rank in revealed) != list(range(1, len(ids) + 1)):
        raise InputError("the sets must name every rank of the text once")
    first_id = window.gap_first_id(0)
    clean = [GapRow(infill_id, first_id, sees_below=0, key=0)]
    masks: list[GapRow] = []
    for revealed in sets:
        sees_below = len(clean)
        for rank in sorted(revealed):
            masks.append(GapRow(mask_id, first_id + rank, sees_below, None, rank=rank))
            key = len(clean)
            clean.append(GapRow(ids[rank - 1], first_id + rank, sees_below=key, key=key, rank=rank))
    rows = [*clean, *masks]
    log_probs = GapRows(window).feed(rows, range(len(clean), len(rows))).double().log_softmax(-1)
    found = torch.empty(len(ids), dtype=torch.float64)
    for row, row_log_probs in zip(masks, log_probs, strict=True):
        found[row.rank - 1] = row_log_probs[ids[row.rank - 1]]
    return found


def score_ending(window: Window, vocabulary: Vocabulary, end_rank: int) -> float:
    """Return the log-probability that the gap ends at `end_rank`, as the uniform policy draws it."""
    infill_id, mask_id = _mask_rows_needed(window)
    first_id = window.gap_first_id(0)
    last_rank = min(UNIFORM_MAX_TOKENS + 1, window.gap_free_ids(0) - 1)
    masks = [GapRow(mask_id, first_id + rank, UNSEEN, None, rank=rank) for rank in range(1, last_rank + 1)]
    logits = GapRows(window).feed([GapRow(infill_id, first_id, 0, 0), *masks])[1:]
    return float(ending_distribution(logits, vocabulary.eoi_id, window.layout.held_back[0] == "")[end_rank - 1])


def text_ids(window: Window, text: str) -> list[int]:
    """Return the tokens of the first gap filled with `text` (`Layout.gap_ids`).

    Raises InputError if they do not fit into the gap.
    """
    ids = window.layout.gap_ids(window.tokenizer, 0, text)
    if len(ids) >= window.gap_free_ids(0) - 1:
        raise InputError(f"the text has {len(ids)} tokens: at most {window.gap_free_ids(0) - 2} fit into the gap")
    return ids


def chain(ids: Sequence[int], first_id: int, first_rank: int) -> list[GapRow]:
    """Return clean rows that each see those before them."""
    return [
        GapRow(token_id, first_id + n, first_rank + n, first_rank + n, rank=first_rank + n)
        for n, token_id in enumerate(ids)
    ]


def _mask_rows_needed(window: Window) -> tuple[int, int]:
    """Return the ids of `<infill>` and `<mask>`, or raise InputError."""
    infill_id, mask_id = window.capabilities.infill_id, window.capabilities.mask_id
    if infill_id is None or mask_id is None:
        raise InputError("this model has no mask rows: only left_to_right likelihoods can be had")
    return infill_id, mask_id


def _text(vocabulary: Vocabulary, token_id: int) -> str:
    return vocabulary.token_bytes[token_id].decode(errors="replace")
