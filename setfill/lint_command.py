"""`setfill lint`: look at a patch, and report lines that look suspicious."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lint.baseline import Baseline, baseline_text
from lint.diffs import MAX_DIFF_BYTES
from lint.flow import known_rules, lines_to_score, look
from lint.formats import FORMATS, render
from lint.origin import Origin, read_bounded_diff
from lint.records import ChangedFile, Level, Patch, Progress, Report, Rule
from lint.settings import FAIL_LEVELS, LEVELS, Filter, Settings, level_named, refuse_unknown_rule
from model.api.visible_text import visible
from setfill.arguments import Parser, add_color, add_model, output_file, positive, refuse_without
from setfill.display import console, notes
from setfill.team import add_team

INTERRUPTED = 130  # the exit status that shells expect of what was ended by an interrupt
STATUSES = """\
exit status: 0 nothing found at --fail-level or above, 1 something was, 2 the patch could not be looked at,
130 interrupted: what was found until then is shown, and no file is written

What is found is suspicious, and may be right. --rules lists the rules, docs/lint.md says of each what it looks for, and
docs/ci.md how all this is set up in continuous integration. Settings are in [tool.setfill.lint] of pyproject.toml, or
[lint] of .setfill.toml; with --base those of the commit that is named there count, so that a patch cannot switch off
its own check."""

EXAMPLES = """\
examples:
  git diff | setfill lint
  setfill lint --base HEAD
  setfill lint --base origin/main --format sarif --output findings.sarif
  setfill lint --no-model app.py"""


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "lint",
        help="look at a patch for suspicious lines",
        description="Look at the lines that a patch changes: at a diff on standard input, or in the file of --diff; at "
        "what has changed since --base; or at all lines of files. The files are read from the work tree.",
        epilog=f"{STATUSES}\n\n{EXAMPLES}",
    )
    _add_input(parser)
    _add_rules(parser)
    _add_output(parser)
    add_color(parser)
    parser.set_defaults(run=run)


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="look at all of it, or with --base at what changed in it"
    )
    parser.add_argument("--diff", metavar="FILE", type=Path, help="a unified diff; - is standard input")
    parser.add_argument("--base", metavar="REF", help="what has changed since the work tree left this branch or commit")
    parser.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        help="the folder that the names in a diff begin in (default: the root of the work tree)",
    )
    parser.add_argument(
        "--filter",
        choices=[str(each) for each in Filter],
        help=f"which lines may have findings: {Filter.ADDED} or altered ones, those with the lines that the diff shows "
        f"around them, the whole {Filter.FILE}, or {Filter.ALL} of it with what was wrong before "
        f"(default: {Filter.ADDED}; {Filter.ALL} for files without --base)",
    )
    parser.add_argument(
        "--trust-patch",
        action="store_true",
        help="with --base: also settings, baseline and comments that the patch brings may keep findings silent",
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", action="store_true", help="list the rules, and look at nothing")
    parser.add_argument(
        "--level",
        metavar="RULE=LEVEL",
        dest="levels",
        action="append",
        type=_rule_level,
        default=[],
        help=f"the level of a rule: {', '.join(LEVELS)}; may be repeated",
    )
    parser.add_argument("--no-model", action="store_true", help="only rules without the model, which take no second")
    add_model(parser)
    add_team(parser)
    parser.add_argument("--baseline", metavar="FILE", type=Path, help="findings that are known, and not told once more")
    parser.add_argument(
        "--write-baseline",
        metavar="FILE",
        type=output_file,
        help="write what is found there, as known; the exit status is 0",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument(
        "--output", metavar="FILE", type=output_file, help="write the report there, not to standard output"
    )
    parser.add_argument(
        "--summary", metavar="FILE", type=output_file, help="append a summary in Markdown, as to $GITHUB_STEP_SUMMARY"
    )
    parser.add_argument(
        "--max-findings",
        metavar="N",
        type=positive,
        help=f"tell N findings at most, the summary counts the others (default: {Settings().max_findings})",
    )
    parser.add_argument(
        "--fail-level",
        choices=list(FAIL_LEVELS),
        help="the lowest level that makes the exit status 1 (default: error)",
    )
    parser.add_argument("--exit-zero", action="store_true", help="the exit status is 0 whatever is found")


def _rule_level(text: str) -> tuple[str, Level | None]:
    rule, _, level = text.partition("=")
    try:
        return rule, level_named(level)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected RULE=LEVEL: {error}") from None


def run(options: argparse.Namespace) -> int:
    """Look, write what is asked for, and return the exit status."""
    rules = known_rules()
    if options.rules:
        return _list_rules(options, rules)
    origin = _origin(options)
    settings = _settings(options, origin, rules)
    patch = _patch(options, origin, settings)
    baseline = _baseline(options, origin, settings)
    report = _report(options, patch, settings, baseline, rules)
    if report.is_partial:
        return _write_partial(options, report)
    _write(options, report)
    failing = [each for each in (*report.findings, *report.held_back) if _fails(each.level, settings.fail_level)]
    return 1 if failing and not (options.exit_zero or options.write_baseline) else 0


def _fails(level: Level, fail_level: Level | None) -> bool:
    return fail_level is not None and level >= fail_level


# What is looked at


def _origin(options: argparse.Namespace) -> Origin:
    if options.diff and options.base is not None:
        raise argparse.ArgumentTypeError("--diff and --base do not go together: each says what the patch is")
    if options.diff and options.files:
        raise argparse.ArgumentTypeError("--diff and names of files do not go together")
    why = "of a diff or of files, settings, baseline and comments of the work tree count anyway"
    refuse_without(options, "--base", "--trust-patch", why)
    if options.base is not None:
        return Origin.of_base(options.root, options.base, options.trust_patch)
    return Origin.of_files(options.root)


def _settings(options: argparse.Namespace, origin: Origin, rules: tuple[Rule, ...]) -> Settings:
    """Return what the project wants, and what the command line says otherwise."""
    settings = origin.settings(rules)
    for rule_id, _ in options.levels:
        refuse_unknown_rule(rule_id, [rule.id for rule in rules], "--level")
    changes: dict[str, Any] = {"rules": {**settings.rules, **dict(options.levels)}}
    if options.max_findings:
        changes["max_findings"] = options.max_findings
    if options.filter:
        changes["filter"] = Filter(options.filter)
    if options.fail_level:
        changes["fail_level"] = FAIL_LEVELS[options.fail_level]
    if options.files and options.base is None and options.filter is None:
        changes["filter"] = Filter.ALL
    if origin.trusts_patch:
        changes["patch_suppressions"] = True
    return replace(settings, **changes)


def _patch(options: argparse.Namespace, origin: Origin, settings: Settings) -> Patch:
    if origin.base:
        return origin.changes(options.files, settings.is_wanted)
    if options.files:
        return origin.files(options.files, settings.is_wanted)
    if options.diff and str(options.diff) != "-":
        return origin.diffed(read_bounded_diff(options.diff), settings.is_wanted)
    if sys.stdin.isatty():
        raise argparse.ArgumentTypeError(
            "say what to look at: a diff on standard input, --base REF (HEAD for what is not committed), or files"
        )
    return origin.diffed(sys.stdin.buffer.read(MAX_DIFF_BYTES + 1), settings.is_wanted)


def _baseline(options: argparse.Namespace, origin: Origin, settings: Settings) -> Baseline | None:
    if options.write_baseline:
        return None
    if options.baseline:
        return origin.baseline(Path(os.path.abspath(options.baseline)))
    return origin.baseline(origin.root / settings.baseline) if settings.baseline else None


# Looking


def _report(
    options: argparse.Namespace,
    patch: Patch,
    settings: Settings,
    baseline: Baseline | None,
    rules: tuple[Rule, ...],
) -> Report:
    lines = sum(len(lines_to_score(file, settings.filter)) for file in patch.files)
    asks_model = any(rule.needs_model and settings.level_of(rule) is not None for rule in rules)
    if options.no_model or not lines or not asks_model:
        return asyncio.run(look(patch, settings, baseline=baseline))
    return asyncio.run(_with_model(options, patch, settings, baseline, lines))


async def _with_model(
    options: argparse.Namespace, patch: Patch, settings: Settings, baseline: Baseline | None, lines: int
) -> Report:
    from setfill.running import asked_worker
    from setfill.team import may_leave

    told = notes(options.color)
    root = options.root or Path()

    def may_see(file: ChangedFile) -> bool:
        return not options.team or may_leave(root / file.path)

    async with asked_worker(options, told) as (client, description):
        with _progress_bar(told, lines) as progress:
            name = f"{description.name} ({description.precision})"
            return await look(patch, settings, client, progress, baseline=baseline, model=name, may_see=may_see)


@contextmanager
def _progress_bar(told: Console, lines: int) -> Iterator[Progress]:
    """Yield what shows on a terminal how many of the lines have been scored."""
    if not told.is_terminal:
        yield lambda _lines: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("scoring lines"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=told, transient=True) as bar:
        task = bar.add_task("", total=lines)

        def advance(scored: int) -> None:
            bar.update(task, advance=scored)

        yield advance


# What is written


def _write(options: argparse.Namespace, report: Report) -> None:
    if options.write_baseline:
        files = {file.path: file for file in report.patch.files}
        found = [(finding, files[finding.path]) for finding in (*report.findings, *report.held_back)]
        options.write_baseline.write_text(baseline_text(found), encoding="utf-8")
    if options.summary:
        with options.summary.open("a", encoding="utf-8") as file:
            file.write(render(report, "markdown") + "\n")
    if options.output:
        options.output.write_text(render(report, options.format), encoding="utf-8")
    else:
        color = console(options.color).color_system is not None
        sys.stdout.write(render(report, options.format, color=color))


def _write_partial(options: argparse.Namespace, report: Report) -> int:
    """Show what an interrupt left, and return the exit status. No file is written: those are for whole reports."""
    if not (options.output or options.write_baseline):
        sys.stdout.write(render(report, options.format, color=console(options.color).color_system is not None))
    return INTERRUPTED


def _list_rules(options: argparse.Namespace, rules: tuple[Rule, ...]) -> int:
    out = console(options.color)
    for rule in rules:
        needs = ", needs the model" if rule.needs_model else ""
        out.print(f"{rule.id} ({rule.level.name.lower()}{needs})", style="bold", markup=False)
        out.print(f"    {visible(rule.title)}", markup=False)
    return 0
