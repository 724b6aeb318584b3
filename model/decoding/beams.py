"""Beam search for the infill that goes best with the text on both sides of its gap.

Between a text l before it and r behind it, an infill x has the probability

    p(x | l, r)  =  p(x | l) p(r | l, x) / p(r | l)

The rows of a gap estimate the left-hand side: they see r, and know when to end.
The right-hand side is what a model knows that was trained left to right: rows
that follow the left stack say x and then how r begins (or that the text ends), as if there had never
been a gap (a noisy channel; Yu et al., arXiv 1611.02554). A beam is scored by
the weighted geometric mean of the two.

What greedy decoding makes of the gap is followed too, and the best infills
are judged by more of r where that names what they differ in.

Knows one gap. Greedy decoding is cheaper by far; this is for who can wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from model.api.types import Sampling
from model.decoding.beam import Beam, Ending, JudgedInfill, score_of, weighted
from model.decoding.decode import Decode
from model.decoding.mentions import chars_that_tell
from model.decoding.open_gap import OpenGap
from model.decoding.row_tree import RowTree, TreeRow
from model.decoding.sampling import END_LOG_PROBABILITY, draw_next, log_probabilities
from model.decoding.search_recorder import SearchRecorder
from model.decoding.spelling import Spelling
from model.sessions.seams import common_prefix
from model.sessions.window import Window

BEHIND_TOKENS = 12  # so much of the text behind is to follow
FURTHER_TOKENS = 40  # so much of it may be read to tell the best infills apart
_CONTENDERS = 2  # that many of them, and the greedy one
_CONTENDERS_LOGPROB = 3.0  # no farther below the best
# What was chosen on MBPP, by what the whole search would have found (docs/experiments.md):
_PATIENCE_STEPS = 5  # without a better infill, before beams are given up
_BEAM_SHARE = 0.5  # of what the text behind costs at best, which a beam must bear; early ends all have a poor one
_ENDING_SHARE = 0.8  # the same of an ending of which one token behind is known
_LEAST_END_LOGPROB = math.log(2.5e-3)  # where the gap's rows give less, it is not asked whether the infill ends
_GREEDY, _NO_CHANCE = Sampling(), torch.Generator()


def fill_by_beams(decode: Decode) -> list[OpenGap]:
    """Fill the one gap, which always holds the best beginning of it; return other infills that were found."""
    assert decode.infill_id is not None, "only an adapted model searches by beams"
    recorder = None
    if decode.rows.recorder is not None:
        recorder = SearchRecorder(decode.rows.recorder, decode.gaps[0], decode.policy.size)
    search = BeamSearch(decode.rows.window, decode.gaps[0], decode.policy.size, decode.infill_id, recorder)

    def after_step() -> bool:
        decode.gaps[0] = search.growing or decode.gaps[0]
        return decode.after_forward()

    try:
        search.run(after_step)
    finally:
        decode.rows.forwards += search.rows.forwards
        decode.rows.rows_fed += search.rows.rows_fed
    decode.gaps[0], *others = search.found() or decode.gaps
    if recorder is not None:
        recorder.answer(decode.gaps[0])
    return others[: decode.candidates]


class BeamSearch:
    """One search in the gap that a window stands at."""

    def __init__(
        self, window: Window, gap: OpenGap, width: int, infill_id: int, recorder: SearchRecorder | None = None
    ) -> None:
        self.rows = RowTree(window)
        self._recorder = recorder
        self._width, self._infill_id = width, infill_id
        self._vocabulary, self._tokenizer = gap.spelling.vocabulary, window.tokenizer
        self._first_text_id = window.gap_first_id(0)
        self._behind, self._behind_further, self._text_ends_there = _beginning(window)
        self._held_back = gap.spelling.held_back
        self._sink_id = window.capabilities.sink_id
        self._beams = [Beam(gap, is_greedy=True)] if gap.stop is None else []
        self._ending: list[Ending] = []  # to be judged in the next forward
        self._unjudged: list[Ending] = []  # that need not be judged: others do better
        self._ended: list[JudgedInfill] = []
        self._cut: list[Beam] = []  # by a limit
        self._given_up_logprob = -math.inf  # of the likeliest beam that was given up, by the gap's rows
        self._left_logits: Tensor | None = None
        self._is_interrupted = False
        self._steps = self._best_at = 0  # forwards so far, and when the best infill was found

    @property
    def growing(self) -> OpenGap | None:
        """The best beginning so far; once nothing grows any more, the best infill."""
        if self._beams:
            return self._beams[0].gap
        return next(iter(self.found()), None)

    def run(self, after_forward: Callable[[], bool]) -> None:
        """Search until no beam can become better than what was found, or `after_forward` returns False."""
        while (self._beams or self._ending) and not self._cut_is_likeliest():
            self._step()
            if not after_forward():
                self._is_interrupted = True
                return
        if not self._cut_is_likeliest() and self._read_on():
            after_forward()

    def found(self) -> list[OpenGap]:
        """Return the infills found, all texts different, the best first.

        What a limit cut off cannot be judged by the text behind: that does not
        follow yet. So where the gap's rows find such a one the likeliest of
        all, they alone decide. Of a search that was interrupted, a beginning
        that would have been better comes before the infills that have ended.
        """
        ended = sorted(self._ended, key=lambda infill: -infill.score)
        if self._cut_is_likeliest():
            likeliest: list[JudgedInfill | Beam] = [*ended, *self._cut]
            gaps = [each.gap for each in sorted(likeliest, key=lambda each: -each.gap_logprob)]
        else:
            gaps = [infill.gap for infill in ended]
            gaps += [ending.beam.gap for ending in sorted(self._unjudged, key=lambda ending: -ending.score)]
            if self._beams and (not ended or (self._is_interrupted and self._may_win(self._beams[0]))):
                gaps.insert(0, self._beams[0].gap)
        different: dict[str, OpenGap] = {}
        for gap in gaps:
            different.setdefault(gap.text(), gap)
        return list(different.values())

    # -- one forward ------------------------------------------------------------------------

    def _step(self) -> None:
        """Feed the last token of every beam and the text behind those that end, and choose the next beams."""
        fed: list[TreeRow] = []
        beams = [self._fed(beam, fed) for beam in self._beams]
        beam_rows = len(fed)
        first_rows = [self._join(ending, fed) for ending in self._ending]
        logits = self.rows.feed(fed) if fed else torch.empty(0)  # an infill before one last token needs no row
        if self._left_logits is None:
            self._left_logits, logits = logits[0], logits[1:]
        kept = self.rows.size
        self._steps += 1
        for ending, first_row in zip(self._ending, first_rows, strict=True):
            infill = self._scored(ending, logits[first_row - kept :])
            if all(infill.score > other.score for other in self._ended):
                self._best_at = self._steps
            self._ended.append(infill)
            if self._recorder is not None:
                self._recorder.judged(infill)
        self._ending = []
        gap_log_probs, text_log_probs = [], []
        for beam in beams:
            gap_log_probs.append(beam.gap.next_log_probs(logits[beam.gap_rows[-1] - kept]))
            before = logits[beam.text_rows[-1] - kept] if beam.text_rows else self._left_logits
            text_log_probs.append(self._as_text(before, beam.gap.spelling))
        for beam, by_gap, by_text in zip(beams, gap_log_probs, text_log_probs, strict=True):
            self._end(beam, by_gap, by_text)
        self._beams = self._extended(beams, gap_log_probs, text_log_probs)
        self._give_up()
        self._forget()
        if self._recorder is not None:
            self._recorder.forward(fed, len(fed) - beam_rows, self.rows.size, self.rows.last_forward_s)

    def _fed(self, beam: Beam, fed: list[TreeRow]) -> Beam:
        """Add the rows of the beam's last token to `fed`, and return it with them."""
        gap, rank = beam.gap, beam.gap.frontier - 1
        token_id = gap.ids[rank] if rank else self._infill_id
        gap_row, text_rows = self.rows.size + len(fed), beam.text_rows
        fed.append(TreeRow(token_id, gap.zero_id + rank, beam.gap_rows, follows_left=False))
        if rank:
            text_rows = (*text_rows, self.rows.size + len(fed))
            fed.append(TreeRow(token_id, self._first_text_id + rank - 1, beam.text_rows, follows_left=True))
        return replace(beam, gap_rows=(*beam.gap_rows, gap_row), text_rows=text_rows)

    def _join(self, ending: Ending, fed: list[TreeRow]) -> int:
        """Add the rows that say how the text behind begins to `fed`, and return the number of the first."""
        first_row, begin = self.rows.size + len(fed), self._first_asked(ending)
        ancestors = list(ending.beam.text_rows[:begin])
        for index in range(begin, len(ending.ids) - 1):
            number = self.rows.size + len(fed)
            fed.append(TreeRow(ending.ids[index], self._first_text_id + index, tuple(ancestors), follows_left=True))
            ancestors.append(number)
        return first_row

    @staticmethod
    def _first_asked(ending: Ending) -> int:
        """Return which of the ending's tokens is the first to need a row of its own, to tell what follows it."""
        return ending.same if ending.first_logprob is not None else max(0, ending.same - 1)

    def _scored(self, ending: Ending, logits: Tensor) -> JudgedInfill:
        """Return an ended beam with its score, by the logits of the rows that `_join` added."""
        assert self._left_logits is not None
        beam, ids, same = ending.beam, ending.ids, ending.same
        known = same + (ending.first_logprob is not None)
        before = chain([] if known else [self._left_logits], logits)
        logprobs = [*beam.text_logprobs[:same], *([] if ending.first_logprob is None else [ending.first_logprob])]
        spelling = Spelling(self._vocabulary, beam.gap.spelling.held_back)
        for index, token_id in enumerate(ids):
            if index >= known:
                logprobs.append(float(self._as_text(next(before), spelling)[token_id]))
            spelling.push(token_id)
        logprob = sum(logprobs)
        return JudgedInfill(
            beam.gap,
            beam.gap_logprob,
            score=score_of(beam.gap_logprob, logprob, beam.gap.known_tokens),
            text_logprob=sum(beam.text_logprobs),
            behind_logprob=logprob - sum(beam.text_logprobs),
            rest_logprob=sum(logprobs[same + 1 :]),
            is_greedy=beam.is_greedy,
        )

    def _as_text(self, logits: Tensor, spelling: Spelling) -> Tensor:
        """Return log-probabilities [V] of what follows `spelling` in text: the text may end, but knows of no gap."""
        return log_probabilities(logits, spelling.allowed_as_text(self._sink_id))

    def _end(self, beam: Beam, by_gap: Tensor, by_text: Tensor) -> None:
        """Let the beam end where it is, if the gap's rows think that possible.

        To say nothing is an answer only where they expect it as greedy decoding has it: the text behind often follows
        best when nothing stands before it, for it did when that was written.
        """
        logprob = float(by_gap[self._vocabulary.eoi_id])
        if logprob < _LEAST_END_LOGPROB:
            return
        ended = replace(
            beam,
            gap=beam.gap.copy(),
            gap_logprob=beam.gap_logprob + logprob,
            is_greedy=beam.is_greedy and self._greedy_token(by_gap) == self._vocabulary.eoi_id,
        )
        ended.gap.place(ended.gap.frontier, self._vocabulary.eoi_id, logprob)
        if not ended.gap.text() and ended.gap_logprob < END_LOG_PROBABILITY:
            return
        self._ending.append(self._ending_of(ended, by_text))

    def _ending_of(self, beam: Beam, by_text: Tensor | None = None) -> Ending:
        """Return what is to be judged of a beam that has ended; `by_text` [V] is what follows its rows in text."""
        spelling = beam.gap.spelling
        ids = self._tokenizer.encode(spelling.held_back.decode() + spelling.infill + self._behind)
        if self._text_ends_there:
            ids.append(self._sink_id)
        own_ids = beam.gap.known_ids()
        same = common_prefix(own_ids, ids)
        if by_text is None or not len(own_ids) == same < len(ids):
            return Ending(beam, ids, same, None)
        return Ending(beam, ids, same, float(by_text[ids[same]]))

    # -- which of the best -----------------------------------------------------------------------

    def _read_on(self) -> bool:
        """Judge the best infills by more of the text behind, if it names what some of them have; return whether."""
        ended = sorted(self._ended, key=lambda infill: -infill.score)
        near = [infill for infill in ended[:_CONTENDERS] if infill.score > ended[0].score - _CONTENDERS_LOGPROB]
        near += [infill for infill in ended if infill.is_greedy and infill not in near]
        further = self._behind_further
        further = further[: chars_that_tell([infill.gap.text() for infill in near], further)]
        if not further:
            return False
        logprobs = self._logprobs_as_text([each.gap for each in near], further)
        scores = [
            score_of(infill.gap_logprob, logprob, infill.gap.known_tokens)
            for infill, logprob in zip(near, logprobs, strict=True)
        ]
        for infill, score, logprob in zip(near, scores, logprobs, strict=True):
            self._ended.remove(infill)
            self._ended.append(replace(infill, score=ended[0].score + score - max(scores)))
            if self._recorder is not None:
                self._recorder.judged(replace(self._ended[-1], behind_logprob=logprob - infill.text_logprob))
        if self._recorder is not None:
            self._recorder.read_on(further, self.rows.last_forward_rows, self.rows.last_forward_s)
        return True

    def _logprobs_as_text(self, gaps: Sequence[OpenGap], further: str) -> list[float]:
        """Return how likely each infill is with the text behind it and `further`, by rows fed for all of them."""
        fed: list[TreeRow] = []
        row_of: dict[tuple[int, ...], int] = {}  # by the tokens from the first to the row's own
        texts: list[tuple[list[int], list[tuple[int, ...]]]] = []
        for gap in gaps:
            spelling = gap.spelling
            ids = self._tokenizer.encode(spelling.held_back.decode() + spelling.infill + self._behind + further)
            beginnings = [tuple(ids[:end]) for end in range(1, len(ids))]
            for index, beginning in enumerate(beginnings):
                if beginning not in row_of:
                    row_of[beginning] = len(fed)
                    ancestors = [row_of[shorter] for shorter in beginnings[:index]]
                    fed.append(TreeRow(ids[index], self._first_text_id + index, ancestors, follows_left=True))
            texts.append((ids, beginnings))
        self.rows.commit([])
        logits = self.rows.feed(fed)
        return [
            self._logprob_as_text(ids, logits[[row_of[beginning] for beginning in beginnings]])
            for ids, beginnings in texts
        ]

    def _logprob_as_text(self, ids: Sequence[int], logits: Tensor) -> float:
        """Return the log-probability of `ids` behind the left stack, by the logits of the rows of all but the last."""
        assert self._left_logits is not None
        spelling = Spelling(self._vocabulary, self._held_back)
        logprob = 0.0
        for token_id, before in zip(ids, chain([self._left_logits], logits), strict=True):
            logprob += float(self._as_text(before, spelling)[token_id])
            spelling.push(token_id)
        return logprob

    # -- which beams -----------------------------------------------------------------------------

    def _extended(
        self, beams: Sequence[Beam], gap_log_probs: Sequence[Tensor], text_log_probs: Sequence[Tensor]
    ) -> list[Beam]:
        """Return the best beams of one token more, all of different text; those that end with it are put aside."""
        choices: list[tuple[float, Beam]] = []
        for beam, by_gap, by_text in zip(beams, gap_log_probs, text_log_probs, strict=True):
            likeliest = weighted(by_gap, by_text).topk(2 * self._width)
            greedy_token = self._greedy_token(by_gap) if beam.is_greedy else None
            asked = dict(zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True))
            if greedy_token is not None:
                asked[greedy_token] = float(weighted(by_gap[greedy_token], by_text[greedy_token]))
            choices += [
                (beam.score + value, self._longer(beam, token_id, by_gap, by_text, is_greedy=token_id == greedy_token))
                for token_id, value in asked.items()
                if value > -math.inf  # neither `<eoi>` nor the end of the text: both sides must allow it
            ]
        spelled: set[bytes] = set()
        extended: list[Beam] = []
        passed_over: list[Beam] = []
        for _, longer in sorted(choices, key=lambda choice: -choice[0]):
            text = longer.gap.spelling.spelled
            if text in spelled or (len(spelled) >= self._width and not longer.is_greedy):
                passed_over.append(longer)  # in other tokens, and less likely; or one too many
                continue
            spelled.add(text)
            if longer.gap.stop is None:
                extended.append(longer)
                continue
            if self._recorder is not None:
                self._recorder.beginning(longer, "end" if longer.gap.stop == "eoi" else "limit")
            if longer.gap.stop == "eoi":
                self._ending.append(self._ending_of(longer))
            else:
                self._cut.append(longer)
        if self._recorder is not None:
            self._recorder.passed_over(passed_over)
        return extended

    @staticmethod
    def _longer(beam: Beam, token_id: int, by_gap: Tensor, by_text: Tensor, *, is_greedy: bool) -> Beam:
        """Return the beam with one token more, by what either kind of row says of it [V]."""
        gap = beam.gap.copy()
        gap.place(gap.frontier, token_id, float(by_gap[token_id]))
        return replace(
            beam,
            gap=gap,
            gap_logprob=beam.gap_logprob + float(by_gap[token_id]),
            text_logprobs=(*beam.text_logprobs, float(by_text[token_id])),
            is_greedy=is_greedy,
        )

    def _greedy_token(self, by_gap: Tensor) -> int:
        return draw_next(by_gap, self._vocabulary.eoi_id, _GREEDY, _NO_CHANCE)

    def _give_up(self) -> None:
        """Drop the beams and endings that cannot become the answer."""
        beams, self._beams = self._beams, []
        for beam in beams:
            may_win = self._may_win(beam)
            if may_win:
                self._beams.append(beam)
            else:
                self._given_up_logprob = max(self._given_up_logprob, beam.gap_logprob)
            if self._recorder is not None:
                fate = "followed" if may_win else "patience" if self._is_patience_over else "bound"
                self._recorder.beginning(beam, fate, self._best_score(beam))
        endings, self._ending = self._ending, []
        for ending in endings:
            may_win = self._may_win(ending)
            (self._ending if may_win else self._unjudged).append(ending)
            if self._recorder is not None:
                self._recorder.ending(ending, "asked" if may_win else "bound", self._best_score(ending))

    def _forget(self) -> None:
        """Drop the rows that no beam needs any more."""
        living = (*self._beams, *(ending.beam for ending in self._ending))
        kept = sorted({row for beam in living for row in (*beam.gap_rows, *beam.text_rows)})
        self.rows.commit(kept)
        numbers = {row: number for number, row in enumerate(kept)}
        self._beams = [beam.renumbered(numbers) for beam in self._beams]
        self._ending = [replace(ending, beam=ending.beam.renumbered(numbers)) for ending in self._ending]

    def _cut_is_likeliest(self) -> bool:
        others: Iterable[Beam | Ending | JudgedInfill] = (*self._beams, *self._ending, *self._ended)
        likeliest = max((each.gap_logprob for each in others), default=-math.inf)
        return any(beam.gap_logprob >= max(likeliest, self._given_up_logprob) for beam in self._cut)

    def _may_win(self, beam: Beam | Ending) -> bool:
        """Whether it could be the best yet.

        A beam has no more time than `_PATIENCE_STEPS`; an ending is judged whenever it came. The greedy infill is
        judged whatever it costs: only more of the text behind may tell that it is the best.
        """
        best_score = self._best_score(beam)
        if best_score is None or (isinstance(beam, Ending) and beam.beam.is_greedy):
            return True
        if isinstance(beam, Beam) and self._is_patience_over:
            return False
        if isinstance(beam, Beam) and beam.is_greedy:
            return True
        return best_score > max(infill.score for infill in self._ended)

    @property
    def _is_patience_over(self) -> bool:
        return self._steps - self._best_at > _PATIENCE_STEPS

    def _best_score(self, beam: Beam | Ending) -> float | None:
        """Return what its score is held to come to at best: None while no infill has ended.

        What is unknown of the text behind costs a share of what it costs behind the infill that it follows best. Tokens
        to come are taken to cost what they are rewarded with.
        """
        if not self._ended:
            return None
        if isinstance(beam, Ending) and beam.first_logprob is not None:
            unknown = _ENDING_SHARE * max(infill.rest_logprob for infill in self._ended)
        else:
            unknown = _BEAM_SHARE * max(infill.behind_logprob for infill in self._ended)
        return beam.score + weighted(0.0, unknown)


def _beginning(window: Window) -> tuple[str, str, bool]:
    """Return how the text behind the window's gap begins, how that goes on, and whether the text ends with the former.

    The second is there for infills that the first does not tell apart.
    """
    text = ""
    for chunk in reversed(window.right):
        text += chunk.text
        if len(starts := window.tokenizer.encode_words(text)[1]) > FURTHER_TOKENS:
            text = text[: starts[FURTHER_TOKENS]]
            break
    starts = window.tokenizer.encode_words(text)[1]
    if len(starts) <= BEHIND_TOKENS:
        return text, "", window.ends_text
    return text[: starts[BEHIND_TOKENS]], text[starts[BEHIND_TOKENS] :], False
