"""How long a suggestion should be: the rest of the line, a statement, or a block.

A model that was not trained to stop runs on to its limits, and any model may run on; so a text is also cut here, by
its lines, brackets and indentation. Works on a text that is still growing as on a whole one.

Knows texts and their syntax; knows neither the file nor the worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from grammars import Language, PlaceKind, Stop, SyntaxSnapshot, brackets_of_text, expected_stop, place_at
from grammars.offsets import KEPT_LINES, LINE_BREAK
from lsp_server.settings import Settings
from lsp_server.silence import Reason
from model.api.policy import VERIFIED, best_policy
from model.api.types import Gap, GapInfill, InfillRequest, Limits, PartialInfill

_LINE_TOKENS = 64
_TOKENS_OF_A_LINE = 24  # on average, generously
_STATEMENT_LINES = 6
_CLOSERS = ")]}>;,:\"'` \t"
_CLOSING_LINE = re.compile(r"[ \t]*(?:[)\]}]+[;,)]*|end|fi|done|esac|endif|endfor|endwhile)[ \t]*$")


@dataclass(frozen=True)
class Plan:
    """What is asked at one place, and where the answer should end."""

    gap: Gap
    stop: Stop
    line_prefix: str  # the gap's line before it
    limits: Limits
    is_invoked: bool  # asked for by hand, not by typing

    def policy(self, settings: Settings, candidates: int, *, adapted: bool) -> str:
        """Return the order policy that fills best: beams where they can be had and the infill is short enough."""
        if self.stop is Stop.BLOCK:
            return VERIFIED
        return best_policy(1, adapted=adapted, beams=settings.beams, candidates=candidates)


def plan_suggestion(
    syntax: SyntaxSnapshot, cursor_char: int, settings: Settings, *, invoked: bool, sees_suffix: bool
) -> Plan | None:
    """Return what to ask at the cursor, None where silence is better. `sees_suffix`: whether the model does."""
    if not invoked and silent_here(syntax, cursor_char, settings, sees_suffix=sees_suffix):
        return None
    line_prefix, line_suffix = around_on_line(syntax.text, cursor_char)
    stop = expected_stop(syntax, cursor_char, cursor_char)
    if invoked and stop is Stop.LINE and not line_suffix.strip():
        stop = Stop.STATEMENT  # who asks by hand wants more than what typing brings
    max_ms = settings.time_limit_ms * (4.0 if invoked else 1.0)
    return Plan(
        Gap(cursor_char, cursor_char), stop, line_prefix, _limits(stop, settings.max_lines, max_ms), is_invoked=invoked
    )


def silent_here(syntax: SyntaxSnapshot, cursor_char: int, settings: Settings, *, sees_suffix: bool) -> Reason | None:
    """Return why nothing is to be asked at the cursor while the user types, None where it may be."""
    _, line_suffix = around_on_line(syntax.text, cursor_char)
    if not syntax.text.strip():
        return Reason.EMPTY_FILE
    if line_suffix[:1].isalnum() or line_suffix[:1] == "_":
        return Reason.INSIDE_WORD
    if line_suffix.strip(_CLOSERS) and not sees_suffix:
        return Reason.TEXT_BEHIND
    if not settings.in_comments and place_at(syntax, cursor_char).kind is PlaceKind.COMMENT:
        return Reason.COMMENT
    return None


def plan_fill(syntax: SyntaxSnapshot, gap: Gap, settings: Settings) -> Plan:
    """Return what to ask of a selection or a marked hole."""
    line_prefix, line_suffix = around_on_line(syntax.text, gap.start, gap.end)
    removed = syntax.text[gap.start : gap.end]
    stop = expected_stop(syntax, gap.start, gap.end)
    if "\n" in removed or "\r" in removed:
        stop = Stop.BLOCK
    elif stop is Stop.LINE and not line_suffix.strip() and not line_prefix.strip():
        stop = Stop.STATEMENT
    limits = _limits(stop, settings.fill_max_lines, max_ms=None)
    return Plan(gap, stop, line_prefix, limits, is_invoked=True)


def around_on_line(text: str, start_char: int, end_char: int | None = None, reach_char: int = 2000) -> tuple[str, str]:
    """Return what stands on the line before a place, and what stands behind it, as far as `reach_char` characters."""
    end_char = start_char if end_char is None else end_char
    before = text[max(0, start_char - reach_char) : start_char]
    behind = text[end_char : end_char + reach_char]
    return re.split(r"[\r\n]", before)[-1], re.split(r"[\r\n]", behind, maxsplit=1)[0]


def _limits(stop: Stop, max_lines: int, max_ms: float | None) -> Limits:
    if stop is Stop.LINE:
        return Limits(_LINE_TOKENS, 1, max_ms)
    lines = min(max_lines, _STATEMENT_LINES) if stop is Stop.STATEMENT else max_lines
    return Limits(max(_LINE_TOKENS, lines * _TOKENS_OF_A_LINE), lines + 1, max_ms)  # the first may be a line's rest


def cut(text: str, plan: Plan, language: Language) -> str:
    """Return the beginning of `text` that is as long as planned. All of it where it has not come that far yet."""
    if plan.stop is Stop.LINE:
        return re.split(r"[\r\n]", text, maxsplit=1)[0]
    first, *others = KEPT_LINES.findall(text)
    base = _indent(plan.line_prefix)
    depth = max(0, bracket_balance(plan.line_prefix + first))  # of brackets; inside of them lines just go on
    opened = _opens_block(plan.line_prefix + first, language)  # a block: it is indented by more than base
    kept, after_blank = first, False
    for line in others:
        if not line.strip():
            if after_blank:
                break  # two blank lines end anything
            after_blank = True
        else:
            after_blank = False
            indent = _indent(line)
            if depth == 0 and not kept.strip() and not opened:
                base = indent  # so far only line breaks: what is asked for begins here
            elif depth == 0 and opened and indent <= base:
                return (kept + (line if indent == base and _CLOSING_LINE.match(line.rstrip()) else "")).rstrip()
            elif depth == 0 and not opened and (plan.stop is Stop.STATEMENT or indent < base):
                break
            depth = max(0, depth + bracket_balance(line))
            opened = opened or (plan.stop is Stop.STATEMENT and _opens_block(line, language))
        kept += line
    return kept.rstrip()


class Growth:
    """A text that grows at one place, until it is longer than what is shown of it: what is shown is the answer then.

    Where a statement or a block ends only its text tells, and a model may not stop by itself.
    """

    def __init__(self, plan: Plan, language: Language) -> None:
        self._plan, self._language = plan, language
        self._shown, self.seen = "", PartialInfill(0, "")

    @property
    def is_enough(self) -> bool:
        return bool(self._shown)

    @property
    def _lines(self) -> int:
        return len(LINE_BREAK.findall(self._shown)) + 1

    def take(self, partial: PartialInfill) -> None:
        """Take the text so far. Once there is enough, no more is taken."""
        if self.is_enough:
            return
        shown = cut(partial.text, self._plan, self._language)
        if shown.strip() and len(shown) < len(partial.text.rstrip()):
            self._shown, self.seen = shown, partial

    def answer(self) -> GapInfill | None:
        """Return the answer as it is known from what was `seen`, None where it must be asked for."""
        return self.seen.first_lines(self._plan.gap, self._lines)

    def confirming(self, request: InfillRequest) -> InfillRequest:
        """Return the request for as many lines as are shown, with these as drafts.

        Asked for one line, a model may say another than when asked for several: what the file says of it counts more.
        """
        return replace(request, limits=replace(request.limits, max_lines=self._lines), drafts=(self._shown,))


def bracket_balance(line: str) -> int:
    """Return how many more brackets `line` opens than it closes; those in strings do not count."""
    return sum(1 if bracket in "([{" else -1 for bracket in brackets_of_text(line))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _opens_block(line: str, language: Language) -> bool:
    stripped = line.rstrip()
    return any(
        stripped.endswith(opener) and (not opener.isalpha() or not stripped[-len(opener) - 1 : -len(opener)].isalnum())
        for opener in language.block_openers
    )
