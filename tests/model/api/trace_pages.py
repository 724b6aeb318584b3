"""Decodes to replay, what a browser makes of their pages, and what the pages' script says of them."""

from __future__ import annotations

import html.parser
import json
import math
import shutil
import subprocess
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from model.api import trace_page
from model.api.types import (
    Alternative,
    Gap,
    GapInfill,
    Infill,
    Trace,
    TraceBeginning,
    TraceEnding,
    TraceReveal,
    TraceRow,
    TraceSearch,
    TraceStep,
)

EOI = "<eoi>"

# ---- decodes to replay ------------------------------------------------------------------------------------------


def infill_row(gap: int) -> TraceRow:
    return TraceRow(gap, 0, "infill", "<infill>", None, "committed")


def clean(gap: int, rank: int, text: str) -> TraceRow:
    return TraceRow(gap, rank, "clean", text, None, "committed")


def draft(gap: int, rank: int, text: str, right: bool, source: str = "mask") -> TraceRow:
    return TraceRow(gap, rank, "draft", text, source, "verified" if right else "dropped")


def masks(gap: int, *ranks: int) -> tuple[TraceRow, ...]:
    return tuple(TraceRow(gap, rank, "mask", "", None, "predicted") for rank in ranks)


def reveal(gap: int, rank: int, text: str, p: float, *others: tuple[str, float], head: str = "clean") -> TraceReveal:
    return TraceReveal(gap, rank, text, p, head, others)


VERIFIED_TEXT = """\
import statistics


def summary(values, places=2):
    \"\"\"Return mean and spread of the values.\"\"\"
    if not values:
        re
    mean = statistics.fmean(values)
    spread = statistics.pstdev(values)
    return round(mean, places),


def show(values):
    mean, spread = summary(values)
    print(f"{mean} ± {spread}")
"""


def verified_in_two_gaps() -> tuple[str, Infill]:
    """Drafts of every source, right ones and wrong ones, in two gaps at once; one gap ends before the other."""
    text = VERIFIED_TEXT
    first, second = text.index("re\n    mean") + 2, text.index("places),") + 8
    steps = (
        TraceStep(
            31.4,
            (infill_row(0), infill_row(1), *masks(0, 2, 3), *masks(1, 2, 3)),
            (
                reveal(0, 1, "return", 0.986, ("raise", 0.009), ("res", 0.002), ("re", 0.001)),
                reveal(1, 1, " round", 0.902, (" mean", 0.041), (" spread", 0.038), (" stat", 0.006)),
            ),
        ),
        TraceStep(
            33.9,
            (
                *(clean(0, 1, "return"), clean(1, 1, " round")),
                *(draft(0, 2, " None", False), draft(1, 2, "(", False)),
                *(draft(0, 3, "\n", False), draft(1, 3, "mean", False)),
                *(*masks(0, 3, 4), *masks(1, 3, 4), *masks(0, 5), *masks(1, 5)),
            ),
            (
                reveal(0, 2, " ", 0.447, (" None", 0.412), (" (", 0.061), (" []", 0.012)),
                reveal(1, 2, "(", 0.997, ("_", 0.001)),
            ),
        ),
        TraceStep(
            36.2,
            (
                *(clean(0, 2, " "), clean(1, 2, "(")),
                *(draft(0, 3, "0", True), draft(1, 3, "spread", True, "ngram")),
                *(draft(0, 4, ".", True), draft(1, 4, ",", True, "ngram")),
                *(draft(0, 5, "0", True), draft(1, 5, " places", True, "ngram")),
                *(*masks(0, 6, 7), *masks(1, 6, 7)),
            ),
            (
                reveal(0, 3, "0", 0.913, ("None", 0.043), ("Non", 0.011)),
                reveal(0, 4, ".", 0.884, (",", 0.101), ("\n", 0.009)),
                reveal(0, 5, "0", 0.991, ("", 0.004)),
                reveal(0, 6, ",", 0.979, ("\n", 0.015)),
                reveal(1, 3, "spread", 0.958, ("mean", 0.017), ("values", 0.011)),
                reveal(1, 4, ",", 0.973, (")", 0.021)),
                reveal(1, 5, " places", 0.995, (" place", 0.002)),
                reveal(1, 6, ")", 0.989, (")\n", 0.006)),
            ),
        ),
        TraceStep(
            35.0,
            (
                *(clean(0, 6, ","), clean(1, 6, ")")),
                *(draft(0, 7, " ", True), draft(1, 7, EOI, True)),
                *(draft(0, 8, "1", False),),
                *masks(0, 8, 9),
            ),
            (
                reveal(0, 7, " ", 0.981, (" None", 0.008)),
                reveal(0, 8, "0", 0.942, ("1", 0.031), ("No", 0.006)),
                reveal(1, 7, EOI, 0.871, ("\n", 0.117), ("  #", 0.004)),
            ),
        ),
        TraceStep(
            30.6,
            (clean(0, 8, "0"), draft(0, 9, ".", True, "typed"), draft(0, 10, "0", True, "typed"), *masks(0, 11)),
            (
                reveal(0, 9, ".", 0.968, (EOI, 0.019)),
                reveal(0, 10, "0", 0.994, ("5", 0.001)),
                reveal(0, 11, EOI, 0.963, ("\n", 0.028), ("  #", 0.002)),
            ),
        ),
    )
    gaps = (
        GapInfill(Gap(first, first), "turn 0.0, 0.0", 10, tuple([-0.1] * 10), "eoi"),
        GapInfill(Gap(second, second), " round(spread, places)", 6, tuple([-0.1] * 6), "eoi"),
    )
    trace = Trace("verified", "verified", 68, 41, 37, 12, ("re", ""), steps)
    return text, Infill(1, gaps, 6, 66, 134, 181.2, trace)


WINDOW_TEXT = """\
def clamp(value, low, high):
    \"\"\"Keep value between low and high.\"\"\"


def scale(values, low, high):
    return [clamp(value, low, high) for value in values]
"""


def runners_up(p: float) -> tuple[tuple[str, float], ...]:
    return (" value", (1 - p) * 0.6), ("high", (1 - p) * 0.2)


def window_out_of_order() -> tuple[str, Infill]:
    """Tokens that appear in any order; two are said by masks behind places that stay unknown."""
    tokens = ["    return", " max", "(", "low", ",", " min", "(", "value", ",", " high", "))", EOI]
    sure = [0.97, 0.81, 0.99, 0.64, 0.98, 0.88, 0.99, 0.77, 0.98, 0.93, 0.86, 0.91]
    sets = [[1], [3, 2], [5], [9, 7], [4, 6], [8], [10], [11], [12]]
    steps, shown = [], {0: "<infill>"}
    before: list[int] = []
    for ranks in sets:
        frontier = min(set(range(1, 14)) - set(shown))
        unknown = [rank for rank in range(frontier, frontier + 8) if rank not in shown]
        committed = tuple(clean(0, rank, tokens[rank - 1]) for rank in before) if before else (infill_row(0),)
        said = tuple(
            reveal(0, rank, tokens[rank - 1], sure[rank - 1], *runners_up(sure[rank - 1]), head="mask")
            for rank in ranks
        )
        steps.append(TraceStep(22.0 + len(unknown), (*committed, *masks(0, *unknown)), said))
        shown |= {rank: tokens[rank - 1] for rank in ranks}
        before = ranks
    at = WINDOW_TEXT.index('high."""\n') + 9
    gap = GapInfill(Gap(at, at), "".join(tokens[:-1]), 11, tuple([-0.2] * 11), "eoi")
    trace = Trace("window:8", "first_hitting", 30, 44, 0, 74, ("",), tuple(steps))
    return WINDOW_TEXT, Infill(1, (gap,), 9, 90, 0, 260.0, trace)


def uniform_length_first() -> tuple[str, Infill]:
    """The end is drawn by the first forward, which reveals nothing else; it is fed as a known row by the second."""
    text = "total = sum()\n"
    said = [
        (),
        (reveal(0, 4, " in", 0.7, head="mask"),),
        (reveal(0, 2, " for", 0.6, head="mask"), reveal(0, 5, " xs", 0.5, (" ys", 0.4), head="mask")),
        (reveal(0, 1, "x", 0.8, head="mask"), reveal(0, 3, " x", 0.9, head="mask")),
    ]
    fed = [
        (infill_row(0), *masks(0, *range(1, 9))),
        (clean(0, 6, EOI), *masks(0, 1, 2, 3, 4, 5)),
        (clean(0, 4, " in"), *masks(0, 1, 2, 3, 5)),
        (clean(0, 2, " for"), clean(0, 5, " xs"), *masks(0, 1, 3)),
    ]
    steps = tuple(TraceStep(20.0, rows, reveals) for rows, reveals in zip(fed, said, strict=True))
    gap = GapInfill(Gap(12, 12), "x for x in xs", 5, tuple([-0.5] * 5), "eoi")
    trace = Trace("uniform", "threshold:0.5", 4, 2, 0, 6, ("",), steps)
    return text, Infill(1, (gap,), 5, 30, 0, 90.0, trace)


def threshold_with_words_behind_the_end() -> tuple[str, Infill]:
    """What was said behind the end, before that was known, is let go."""
    steps = (
        TraceStep(9.0, (infill_row(0), *masks(0, 1, 2, 3)), (reveal(0, 3, "junk", 0.9, head="mask"),)),
        TraceStep(
            9.0,
            (clean(0, 3, "junk"), *masks(0, 1, 2)),
            (reveal(0, 1, "ok", 0.9, head="mask"), reveal(0, 2, EOI, 0.9, head="mask")),
        ),
    )
    trace = Trace("block:4", "threshold:0.9", 0, 0, 0, 0, ("",), steps)
    return "", Infill(1, (GapInfill(Gap(0, 0), "ok", 1, (-0.1,), "eoi"),), 2, 7, 0, 18.0, trace)


def left_to_right_cut() -> tuple[str, Infill]:
    """One token a forward, over several lines with tabs, until the lines are used up."""
    tokens = ["if", " x", ":\n", "\t", "return", "()\n\n", "more"]
    steps, fed = [], infill_row(0)
    for rank, token in enumerate(tokens, 1):
        steps.append(TraceStep(8.0 + rank, (fed,), (reveal(0, rank, token, 0.5 + rank / 20, ("else", 0.1)),)))
        fed = clean(0, rank, token)
    gap = GapInfill(Gap(0, 3), "if x:\n\treturn()", 5, tuple([-0.3] * 7), "lines")
    trace = Trace("left_to_right", "verified", 0, 3, 0, 3, ("",), tuple(steps))
    return "old\n# end\n", Infill(1, (gap,), 7, 10, 0, 70.0, trace)


def empty() -> tuple[str, Infill]:
    """The network suggests nothing, in an empty file."""
    step = TraceStep(5.0, (infill_row(0),), (reveal(0, 1, EOI, 0.9, ("x", 0.05)),))
    trace = Trace("verified", "verified", 0, 0, 0, 0, ("",), (step,))
    return "", Infill(1, (GapInfill(Gap(0, 0), "", 0, (), "eoi"),), 1, 1, 0, 5.0, trace)


LENGTH_REWARD_NATS = 0.1
TOKENS = {1: 1, 2: 2, 3: 1, 4: 1, 5: 3, 6: 2, 7: 3, 8: 4, 9: 1}  # of each beginning, by its number


def beginning(
    number: int,
    parent: int,
    text: str,
    by_gap: float,
    by_text: float,
    fate: str = "followed",
    at_best: float | None = None,
) -> TraceBeginning:
    """What a forward found: log-probabilities of all its tokens; the greedy one has number 1, 2 or 5."""
    score = (by_gap + by_text) / 2 + LENGTH_REWARD_NATS * TOKENS[number]
    best = None if at_best is None else score + at_best
    return TraceBeginning(number, parent, text, by_gap, by_text, score, best, number in (1, 2, 5), fate)


def ending(
    number: int, by_gap: float, by_text: float, behind: float | None, fate: str, score: float = 0
) -> TraceEnding:
    score = score or (by_gap + by_text + (behind or 0)) / 2 + LENGTH_REWARD_NATS * TOKENS[number]
    return TraceEnding(number, by_gap, by_text, behind, score, None, number == 5, fate)


def searched(gap: int = 0) -> tuple[TraceStep, ...]:
    """Two beginnings at once; the text behind, read on, turns the order of two infills."""

    def search(rows: tuple[int, int, int, int], found: tuple[TraceBeginning, ...] = (), **others: Any) -> TraceStep:
        fields = {"judged": (), "endings": (), "passed_over": 0, **others}
        return TraceStep(20.0, (), (), TraceSearch(gap, 2, 0.5, LENGTH_REWARD_NATS, *rows, beginnings=found, **fields))

    return (
        search(
            (1, 0, 0, 1),
            (
                beginning(1, 0, " user", -1.0, -1.6),
                beginning(3, 0, " name", -2.0, -2.2),
                beginning(4, 0, " x", -5, -4, "width"),
            ),
            passed_over=1,
        ),
        search(
            (2, 2, 0, 5),
            (beginning(2, 1, ",", -1.2, -1.9), beginning(6, 3, ":", -3.0, -4.0)),
            endings=(ending(1, -2.0, -1.6, -1.0, "asked"), ending(3, -2.8, -2.2, None, "asked")),
            passed_over=6,
        ),
        search(
            (2, 2, 8, 6),
            (beginning(5, 2, " key", -1.4, -2.0, at_best=-3.0), beginning(7, 6, " str", -9.0, -9.0, "bound", -3.0)),
            judged=(ending(1, -2.0, -1.6, -9.0, "judged"), ending(3, -2.8, -2.2, -14.0, "judged")),
            endings=(ending(6, -7.0, -4.0, -6.0, "bound"),),
            passed_over=6,
        ),
        search(
            (1, 1, 0, 4),
            (beginning(8, 5, ")", -4.0, -4.5, "patience", -3.0),),
            endings=(ending(5, -1.8, -2.0, -0.5, "asked"),),
            passed_over=3,
        ),
        search((0, 0, 4, 0), judged=(ending(5, -1.8, -2.0, -10.0, "judged"),)),
        search(
            (0, 0, 24, 0),
            judged=(ending(5, -1.8, -2.0, -14.0, "judged", -6.3), ending(1, -2.0, -1.6, -19.0, "judged", -8.9)),
            read_on=":\n        return find(user, key",
            answer=5,
        ),
    )


def searched_by_beams() -> tuple[str, Infill]:
    text = "def login( ):\n        return find(user, key)\n"
    trace = Trace("beam:2", "first_hitting", 4, 9, 0, 13, (" ",), searched())
    gap = GapInfill(Gap(11, 11), "user, key", 3, (-1.0, -0.2, -0.2), "eoi")
    return text, Infill(1, (gap,), 7, 61, 0, 140.0, trace)


def searched_in_two_gaps() -> tuple[str, Infill]:
    """First greedily and jointly, then the second gap by beams; the time for the first one's search was up."""
    joint = (
        TraceStep(
            9.0, (infill_row(0), infill_row(1)), (reveal(0, 1, "self", 0.8), reveal(1, 1, " user", 0.4, (" name", 0.1)))
        ),
        TraceStep(8.0, (clean(0, 1, "self"), clean(1, 1, " user")), (reveal(0, 2, EOI, 0.5), reveal(1, 2, EOI, 0.3))),
    )
    trace = Trace("beam:2", "first_hitting", 4, 9, 3, 16, ("", " "), (*joint, *searched(gap=1)))
    gaps = (
        GapInfill(Gap(4, 4), "self", 1, (-0.2,), "eoi"),
        GapInfill(Gap(6, 6), "user, key", 3, (-1.0, -0.2, -0.2), "eoi"),
    )
    return "def ( ):\n", Infill(1, gaps, 9, 70, 0, 160.0, trace)


def searched_to_a_limit() -> tuple[str, Infill]:
    """No end was likely: what is as long as allowed is the answer."""
    first, second = searched()[:2]
    assert first.search is not None
    assert second.search is not None
    found = (beginning(2, 1, ",", -1.2, -1.9, "limit"), beginning(6, 3, ":", -3.0, -4.0, "limit"))
    last = replace(second, search=replace(second.search, beginnings=found, endings=(), answer=2))
    trace = Trace("beam:2", "first_hitting", 0, 0, 0, 0, ("",), (first, last))
    return "", Infill(1, (GapInfill(Gap(0, 0), " user,", 2, (-1.0, -0.2), "tokens"),), 2, 6, 0, 40.0, trace)


DECODES = (
    searched_by_beams,
    searched_in_two_gaps,
    searched_to_a_limit,
    verified_in_two_gaps,
    window_out_of_order,
    uniform_length_first,
    threshold_with_words_behind_the_end,
    left_to_right_cut,
    empty,
)

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>",
    "\u2028\u2029",
    "\ud800 lone \udfff",
    "\x00\x1b[31m\x7f\x85",
    "\u202eevil\u2066",
    "'\"><img src=x onerror=alert(1)>",
    "{{data}}{{script}}\\1\\g<0>",
    "&lt;b&gt; &#60;",
    "\ufffd\ufeff שלום 🐍👩‍💻",
)


def hostile(text: str) -> tuple[str, Infill]:
    """`text` in every field that holds text."""
    rows = tuple(TraceRow(0, rank, "draft", text, text, "dropped") for rank in (1, 2))
    step = TraceStep(math.nan, rows, (TraceReveal(0, 1, text, math.inf, text, ((text, 0.5),)),))
    found = TraceBeginning(1, 0, text, -math.inf, math.nan, math.nan, math.inf, True, text)
    judged = TraceEnding(1, -1.0, -1.0, -math.inf, -math.inf, None, False, text)
    search = TraceSearch(0, 1, 0.5, 0.0, 1, 1, 1, 1, (judged,), (found,), (judged,), 0, text, 1)
    steps = (step, TraceStep(math.inf, (), (), search))
    trace = Trace(text, text, 1, 1, 1, 1, (text,), steps)
    content = f"{text}{text}"
    gap = GapInfill(Gap(len(text), len(text)), text, 1, (-0.5,), text, (Alternative(text, 1, (-1.0,), text),))
    return content, Infill(1, (gap,), 1, 1, 1, 1.0, trace)


# ---- reading a page ---------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What a browser makes of a page: its elements, and the text of each script and style."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = False
        page.encode("utf-8")
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append((tag, ""))
        self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, text = self.texts[-1]
            self.texts[-1] = tag, text + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        text = self.texts[[tag for tag, _ in self.elements].index("script")][1]
        data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert isinstance(data, dict)
        return data

    @property
    def policy(self) -> str:
        found = [meta["content"] for meta in self.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        assert len(found) == 1
        assert found[0] is not None
        return found[0]


def rendered(decode: tuple[str, Infill], path: str = "src/app.py", model: str = "setfill-135m") -> Page:
    return Page(trace_page.render(path, *decode, model))


# ---- the replay itself ------------------------------------------------------------------------------------------

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")

RUNNER = """
const { data } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const plain = (parts) => parts.map((part) => typeof part === "string" ? part : "`" + part.code + "`").join("");
const answers = [];
for (let count = 0; count <= (data.trace ? data.trace.steps.length : 0); count++) {
  const state = stateAfter(data, count);
  const { title, say } = narrate(data, count);
  const shown = data.trace ? data.gaps.map((_, gap) => slots(state, gap, data)) : [];
  const searches = [...searchesAfter(data, count).values()].map((search) => ({
    gap: search.gap,
    leads: textOf(search, leader(search)),
    infills: ranked(search).map((infill) => textOf(search, infill.beginning)),
    allowances: Object.fromEntries(
      ranked(search).map((infill) => [textOf(search, infill.beginning), allowance(search, infill)])),
    surprise: Object.fromEntries(
      ranked(search).map((infill) => [textOf(search, infill.beginning), surprise(search, infill)])),
    tree: treeOf(search).cells.map(({ node, depth, row, rows }) => [node.text, depth, row, rows]),
  }));
  answers.push({ title, say: say.map(plain), slots: shown, searches });
}
const percents = [1, 0.99961, 0.994, 0.5, 0.0421, 0.00001, 0, null].map(percent);
console.log(JSON.stringify({ answers, percents }));
"""


def replayed(decode: tuple[str, Infill]) -> dict[str, Any]:
    return in_node(rendered(decode).data)


def in_node(data: dict[str, Any]) -> dict[str, Any]:
    """Return what the page's script says of `data`, for every step."""
    assert NODE is not None
    folder = resources.files(trace_page)
    scripts = [(folder / name).read_text(encoding="utf-8") for name in trace_page.SCRIPTS[:2]]
    done = subprocess.run(
        [NODE, "-e", "\n".join((*scripts, RUNNER))],
        input=json.dumps({"data": data}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer
