"""Verified decoding in the precision that ships, on real gaps: equal to one token at a time.

In int8 always, for a row is the same to the bit whatever is fed beside it; in
other precisions but for near-ties.
"""

from __future__ import annotations

import pytest

from benchmarks.gaps import real_gaps
from model.api.policy import parse_policy
from model.api.types import Gap, Limits
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.copying import Copying
from model.decoding.decode import Decode
from model.decoding.drafts import TextDrafts
from model.decoding.file_tokens import FileTokens
from model.decoding.gap_rows import GapRows
from model.decoding.left_to_right import fill_left_to_right
from model.decoding.open_gap import OpenGap, open_gaps
from model.decoding.spelling import Vocabulary
from model.decoding.verified import fill_verified
from model.decoding.widths import WidthPlanner
from model.network.decoder import Decoder
from model.network.linear import Precision, best_precision
from model.sessions.islands import IslandStore
from model.sessions.session import Session, SessionParts
from model.sessions.window import Window
from tests.model.real import load_real, real_model

GAPS = 1000
NEAR_TIE = 0.15  # nats between the first and the second choice
LIMITS = Limits(max_tokens=16, max_lines=2)


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_verified_equals_one_token_at_a_time() -> None:
    checkpoint = load_real(real_model())
    adapted = checkpoint.capabilities.adapted
    precision, _ = best_precision()
    network = Decoder(checkpoint, precision)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    islands = IslandStore(network, tokenizer, checkpoint.capabilities, 2**20, 30)
    parts = SessionParts(network, tokenizer, checkpoint.capabilities, islands)
    vocabulary = Vocabulary(tokenizer, parts.eoi_id)
    planner = WidthPlanner(adapted=adapted)
    different, accepted = [], 0
    sessions: dict[str, Session] = {}
    # In the order of each file, so that the windows move little and most of the time goes into decoding.
    for real in sorted(real_gaps(GAPS), key=lambda real: (real.path, real.gap.start)):
        whole = real.text[: real.gap.start] + real.missing + real.text[real.gap.start :]
        session = sessions.setdefault(real.path, Session(parts, real.path, whole))
        gaps = (Gap(real.gap.start, real.gap.start + len(real.missing)),)
        window = session.window_at(gaps, lambda: False)

        def opened(window: Window = window, gaps: tuple[Gap, ...] = gaps) -> list[OpenGap]:
            copying = Copying(FileTokens.of(window), vocabulary, LIMITS.max_lines)
            return open_gaps(window, vocabulary, gaps, LIMITS, copying=copying)

        (plain,), (verified,) = opened(), opened()
        fill_left_to_right(Decode(GapRows(window), [plain], *parse_policy("left_to_right"), planner))
        if not adapted:
            window = session.window_at(gaps, lambda: False)
        rows = GapRows(window)
        drafts = TextDrafts(window, vocabulary.eoi_id, [])
        fill_verified(Decode(rows, [verified], *parse_policy("verified"), planner, drafts))
        accepted += len(verified.ids) - rows.forwards
        if plain.ids != verified.ids:
            rank = next(rank for rank in plain.ids if plain.ids[rank] != verified.ids.get(rank))
            margin = plain.logprobs[rank] - plain.runners_up[rank][1]
            different.append(round(margin, 4))
    print(f"\n{precision}: {len(different)} of {GAPS} differ, at margins {different}; {accepted} drafts accepted")
    assert accepted > GAPS / 20, "drafts must take part"
    assert len(different) <= (0 if precision is Precision.INT8 else GAPS * 0.005)
    assert all(margin < NEAR_TIE for margin in different)
