"""From what the model said to what is shown: cut, in the document's own style, trimmed, checked, or nothing at all.

Knows texts and their syntax; knows neither the worker nor the editor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grammars import Damage, Span, SyntaxSnapshot, fitted_infill, fitted_infills, infill_damage, without_loose_end
from grammars.offsets import LINE_BREAK
from lsp_server.lengths import Plan, cut
from lsp_server.worth import Standard, Verdict, judged
from model.api.types import Alternative, Gap, GapInfill

_ALTERNATIVES_SHARE = 0.7  # of what the first must reach: they are looked at on purpose
_CHECK_SECONDS = 0.1  # that one check with the parser may take


@dataclass(frozen=True)
class Shaped:
    """A text to show, the empty string for nothing, and what it does to the syntax, None where that is not known."""

    text: str = ""
    damage: Damage | None = None


def shaped(syntax: SyntaxSnapshot, plan: Plan, said: str, stop_reason: str) -> Shaped:
    """Return what to show of `said`, the model's text for the plan's gap.

    Parses, so call it outside the event loop.
    """
    text = finished(syntax, plan, said, stop_reason)
    if not text.strip() or _repeats_next_line(syntax.text, plan.gap.end, text):
        return Shaped()
    return _without_damage(syntax, plan.gap.start, plan.gap.end, text)


def shaped_candidates(
    syntax: SyntaxSnapshot, plan: Plan, said: GapInfill, standard: Standard
) -> tuple[list[str], Verdict | None]:
    """Return the texts to show, all different, the best first, and the verdict on the first, which decides on silence.

    There is no verdict where nothing is left of what was said. Parses, so call it outside the event loop.
    """
    every: Sequence[GapInfill | Alternative] = (said, *said.alternatives)
    first: Verdict | None = None
    texts: dict[str, None] = {}
    for number, each in enumerate(every):
        what = shaped(syntax, plan, each.text, each.stop)
        needed = standard.lowered(_ALTERNATIVES_SHARE) if number else standard
        verdict = judged(each, what.damage, needed) if what.text else None
        if number == 0:
            first = verdict
        if verdict and verdict.is_shown:
            texts.setdefault(what.text)
        elif number == 0 and (verdict or not plan.is_invoked):
            break
    return list(texts), first


def finished(syntax: SyntaxSnapshot, plan: Plan, said: str, stop_reason: str) -> str:
    """Return `said` as long as planned and as it fits the file."""
    text = planned(syntax, plan, said, stop_reason)
    return fitted_infill(syntax, plan.gap.start, plan.gap.end, text, _CHECK_SECONDS)


def finished_jointly(syntax: SyntaxSnapshot, plans: Sequence[Plan], said: Sequence[tuple[str, str]]) -> list[str]:
    """Return the texts for several gaps of one decode; `said` has for each the text and why it ended."""
    texts = [planned(syntax, plan, *each) for plan, each in zip(plans, said, strict=True)]
    return fitted_infills(syntax, [Span(plan.gap.start, plan.gap.end) for plan in plans], texts, _CHECK_SECONDS)


def planned(syntax: SyntaxSnapshot, plan: Plan, said: str, stop_reason: str) -> str:
    """Return the beginning of `said` that is as long as planned, without an end that a limit cut off."""
    return cut(without_loose_end(said, stop_reason), plan, syntax.language)


def worthy_beginning(syntax: SyntaxSnapshot, gap: Gap, said: GapInfill, standard: Standard) -> str:
    """Return as many whole lines of all that was said, however much it is, as reach the standard; perhaps nothing.

    Which tokens spell a beginning is not known: they are taken to be equally long. Parses, so call it outside the
    event loop.
    """
    text = fitted_infill(syntax, gap.start, gap.end, without_loose_end(said.text, said.stop), _CHECK_SECONDS)
    while text.strip():
        tokens = math.ceil(len(said.logprobs) * min(1.0, len(text) / max(1, len(said.text))))
        beginning = replace(said, logprobs=said.logprobs[:tokens])
        if judged(beginning, damage_of(syntax, gap, text), standard).is_shown:
            return text
        breaks = list(LINE_BREAK.finditer(text))
        text = text[: breaks[-1].start()].rstrip() if breaks else ""
    return ""


def _repeats_next_line(document_text: str, end_char: int, text: str) -> bool:
    """Whether a text of one line is what the next line that is not blank says anyway."""
    if LINE_BREAK.search(text.strip()):
        return False
    following = document_text[end_char : end_char + 1000]
    if following[:1] not in ("\n", "\r"):
        return False
    next_line = next((line.strip() for line in LINE_BREAK.split(following) if line.strip()), None)
    return next_line == text.strip() and any(map(str.isalnum, text))


def _without_damage(syntax: SyntaxSnapshot, start_char: int, end_char: int, text: str) -> Shaped:
    """Return the longest beginning of `text`, by whole lines, that brings no new syntax error; perhaps nothing."""
    for _attempt in range(4):
        damage = damage_of(syntax, Gap(start_char, end_char), text)
        if damage is None or not damage.is_worse:
            return Shaped(text, damage)
        breaks = list(LINE_BREAK.finditer(text))
        if not breaks:
            break
        text = text[: breaks[-1].start()].rstrip()
        if not text.strip():
            break
    return Shaped()


def damage_of(syntax: SyntaxSnapshot, gap: Gap, text: str) -> Damage | None:
    """Return what `text` in place of the gap does to the syntax, None where that cannot be told soon. Parses."""
    return infill_damage(syntax, gap.start, gap.end, text, _CHECK_SECONDS)
