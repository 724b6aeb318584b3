"""A replay as people read it: tables as text, plots as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model.plots import Panel, Points, svg
from setfill.replay.measures import ALL, STAGES, is_of_model
from setfill.replay.player import KINDS, Played


def table(found: Mapping[str, Any]) -> str:
    """Return a summary as text."""
    lines = [
        f"{found['edits']} edits in {found['seconds']} s; milliseconds from the key to a new text on the screen",
        "",
        f"{'':14}{'asked':>7}{'answered':>10}{'shown':>8}{'right':>8}{'p50':>9}{'p95':>9}{'p99':>9}"
        f"{'typed through':>16}{'p50':>7}",
    ]
    for kind, of in found["by_kind"].items():
        times = "".join(_number(of["model_ms"][f"p{percent}"], 9) for percent in (50, 95, 99))
        shares = "".join(
            _percent(of[f"{name}_share"], width) for name, width in (("answered", 10), ("shown", 8), ("right", 8))
        )
        through = f"{of['typed_through']:>16}{_number(of['typed_through_ms']['p50'], 7)}"
        lines.append(f"{kind:14}{of['requests']:>7}{shares}{times}{through}")
    if reasons := found["silent_because"]:
        lines += ["", "silent because: " + ", ".join(f"{name} {count}" for name, count in reasons.items())]
    lines += ["", *_where(found["ms_by_stage"]), *_rows(found["rows"])]
    stalls = found["stalls"]
    lines.append(
        f"answers that need no thought: {stalls['over_50_ms']} of {stalls['pings']} took over 50 ms, the longest "
        f"{stalls['longest_ms']} ms, p99 {stalls['ping_ms']['p99']}"
    )
    lines += [
        f"memory of the {name}: {mb['at_end']:.0f} MB, at most {mb['most']:.0f}"
        for name, mb in found["memory_mb"].items()
    ]
    same = {True: "the same", False: "DIFFERENT", None: "not told by it"}
    lines.append(
        f"text: {'as recorded' if found['text_as_recorded'] else 'NOT AS RECORDED'}; the server's: "
        f"{same[found['texts_equal']]}"
    )
    return "\n".join(lines)


def ratio_table(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the ratios of two replays as text."""
    lines = [
        f"how many times as long {names[1]} took as {names[0]}; paired: median ratio where both showed something",
        "",
        f"{'':14}{'asked':>7}{'answers':>14}{'p50':>8}{'p95':>8}{'p99':>8}{'pairs':>8}{'paired':>8}",
    ]
    for kind, of in found.items():
        answers = "{} and {}".format(*of["answers"])
        ratios = "".join(_number(of[f"p{percent}"], 8) for percent in (50, 95, 99))
        lines.append(f"{kind:14}{of['requests']:>7}{answers:>14}{ratios}{of['pairs']:>8}{_number(of['paired'], 8)}")
    return "\n".join(lines)


def plots(played: Played) -> str:
    """Return plots of a replay as one SVG image."""
    shown = [each for each in played.asked if is_of_model(each)]
    kinds = {kind: [each.ms for each in shown if each.ms and kind in (ALL, each.kind)] for kind in (ALL, *KINDS)}
    spent = [each.spent for each in shown if each.spent and each.spent["source"] == "model"]
    memory = {
        name: [(seconds[0], mb) for seconds in played.memory_mb if (mb := seconds[column]) is not None]
        for column, name in ((1, "server"), (2, "worker"))
    }
    panels = (
        Panel(
            "share of the model's answers that were there by then",
            {kind: _growing(ms) for kind, ms in kinds.items() if len(ms) > 1},
            "ms from the key",
            (0.0, 1.0),
        ),
        Panel(
            "where the time of an answer went: share of answers",
            {name.removesuffix("Ms"): _growing([each[name] for each in spent]) for name in STAGES if spent},
            "ms",
            (0.0, 1.0),
        ),
        Panel("answers that need no thought, ms", {"server": played.pings_ms}, "s"),
        Panel("memory, MB", {name: points for name, points in memory.items() if points}, "s"),
    )
    return svg(panels)


def _growing(ms: Sequence[float]) -> Points:
    """Return the share of numbers up to each of them."""
    return [(number, (rank + 1) / len(ms)) for rank, number in enumerate(sorted(ms))]


def _where(stages: Mapping[str, Any]) -> list[str]:
    if not stages:
        return []
    parts = ", ".join(
        f"{name.removesuffix('Ms')} {stages[name]['mean']} ({stages[name]['p50']}, {stages[name]['p95']})"
        for name in STAGES
    )
    return [
        f"where the milliseconds of {stages['answers']} of them went, mean (p50, p95): {parts}; "
        f"{stages['forwards']} forwards and {stages['rows']} rows an answer"
    ]


def _rows(rows: Mapping[str, Any]) -> list[str]:
    if not rows:
        return []
    return [
        f"rows computed: {rows['computed']:,} ({rows['for_answers']:,} for {rows['infills']} infills in "
        f"{rows['forwards']:,} forwards, {rows['for_withdrawn']:,} for {rows['withdrawn']} that were withdrawn, "
        f"{rows['ahead_of_need']:,} ahead of need), {100 * (rows['computed_share'] or 0):.0f} % of what the answers "
        f"would have taken without a cache" + (f"; {rows['cpu_ms'] / 1000:.1f} s of CPU time" if rows["cpu_ms"] else "")
    ]


def _number(number: float | None, width: int) -> str:
    return f"{'-':>{width}}" if number is None else f"{number:>{width}.{2 if number < 10 else 0}f}"


def _percent(share: float | None, width: int) -> str:
    return f"{'-':>{width}}" if share is None else f"{100 * share:>{width - 2}.0f} %"
