"""What the model says of wrong lines: scored, measured against baselines, and the classifier fitted.

    python -m benchmarks.lint faults buggy_solutions.jsonl.gz    # real programs with one fault each
    python -m benchmarks.lint seeded                  # faults planted in installed packages, folds by package
    python -m benchmarks.lint seeded --write          # the same, and fit what ships: lint/line_odds.json
    python -m benchmarks.lint fixes      # of what both have scored: how often the model's own line is the right one
    python -m benchmarks.lint reliability             # and how often lines were wrong, by what was said: a plot

Scores are kept in .cache/lint, so that a run that was ended (`--seconds`) goes on. Tables are Markdown, with
95 % intervals clustered by problem or package.
"""

from __future__ import annotations

import argparse
import asyncio
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice, pairwise
from pathlib import Path

from benchmarks import line_fit
from benchmarks.line_cases import Case, ScoredCase, buggy_solutions, read_scores, scored_cases, seeded_cases
from benchmarks.line_expected import expected_lines, print_fixes
from benchmarks.line_fit import Sheet
from benchmarks.line_ranking import BASELINES, RankedFile, gain, measured
from benchmarks.logistic import record
from benchmarks.seeded_faults import seeded_files
from lint.classifier import line_classifier
from lint.logistic import LogisticClassifier
from lint.records import split_lines
from model import store
from model.api.client import WorkerClient, WorkerOptions
from model.evaluation.statistics import Estimate
from model.plots import Panel, svg

CACHE = Path(".cache") / "lint"
ODDS = Path("lint") / "line_odds.json"
RELIABILITY = Path("docs") / "images" / "lint-reliability.svg"
SHIPPED = "model and length"
EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 1.0)  # probabilities of the reliability table
TURNS = ("python", "javascript", "python", "c")  # of the languages of seeded files


def main() -> None:
    options = _parser().parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if options.command == "reliability":
        planted, programs = (line_fit.sheets(_known(name, options)) for name in ("seeded", "faults"))
        RELIABILITY.write_text(reliability_plot(planted, programs), encoding="utf-8")
    elif options.command == "fixes":
        for name in ("seeded", "faults"):
            asyncio.run(_fixes(name, options))
    elif options.command == "faults":
        cases = buggy_solutions(options.path)
        scored, runs_on = asyncio.run(_scored(cases, "faults", options))
        scored += _only_in_other(scored, "faults", options)
        print(f"{len(scored)} of {len(cases)} programs; {runs_on}\n")
        report_faults(line_fit.sheets(scored), line_fit.sheets(_known("seeded", options)))
    else:
        cases = list(islice(seeded(options.javascript), options.files))
        scored, runs_on = asyncio.run(_scored(cases, "seeded", options))
        print(f"{len(scored)} of {len(cases)} files; {runs_on}\n")
        files = line_fit.sheets(scored)
        report_seeded(files, ODDS if options.write else None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    faults = commands.add_parser("faults", help="programs of HumanEvalPack with one fault each")
    faults.add_argument("path", type=Path, help="buggy_solutions.jsonl.gz")
    planted = commands.add_parser("seeded", help="faults planted in installed packages")
    planted.add_argument("--files", type=int, default=70)
    planted.add_argument("--javascript", type=Path, help="a folder of node packages (default: none)")
    planted.add_argument("--write", action="store_true", help=f"fit to all files, and write {ODDS}")
    fixes = commands.add_parser("fixes", help="what the model would have written for the most suspicious line")
    reliability = commands.add_parser("reliability", help=f"plot {RELIABILITY}, of what was scored")
    for command in (faults, planted, fixes, reliability):
        command.add_argument("--precision", default="int8", help="of the model (default: %(default)s)")
        command.add_argument("--also", help="another precision: its scores count where there are no others")
    for command in (faults, planted, fixes):
        command.add_argument("--seconds", type=float, help="score nothing new after so long")
    return parser


def seeded(javascript: Path | None) -> Iterator[Case]:
    """Yield files with planted faults: Python and C++ of what is installed here, JavaScript of a folder."""
    libraries = Path(sysconfig.get_path("purelib"))
    queues = {
        "python": seeded_cases(seeded_files([libraries], [".py"])),
        "javascript": seeded_cases(seeded_files([javascript] if javascript else [], [".js"])),
        "c": seeded_cases(seeded_files([libraries / "torch" / "include"], [".h", ".cpp"])),
    }
    for language in cycle(TURNS):
        if not queues:
            return
        if language in queues and (case := next(queues[language], None)):
            yield case
        else:
            queues.pop(language, None)


def _cache(name: str, options: argparse.Namespace) -> Path:
    return CACHE / f"{name}-{options.precision}.jsonl"


def _known(name: str, options: argparse.Namespace) -> list[ScoredCase]:
    """Return what is scored already."""
    known = list(read_scores(_cache(name, options)))
    return known + _only_in_other(known, name, options)


def _only_in_other(known: Sequence[ScoredCase], name: str, options: argparse.Namespace) -> list[ScoredCase]:
    """Return what is scored in the precision of `--also` only."""
    keys = {scored.case.key for scored in known}
    others = read_scores(CACHE / f"{name}-{options.also}.jsonl") if options.also else []
    return [scored for scored in others if scored.case.key not in keys]


def _worker(options: argparse.Namespace) -> WorkerOptions:
    return WorkerOptions(str(store.find().resolve()), precision=options.precision)


async def _scored(cases: Sequence[Case], name: str, options: argparse.Namespace) -> tuple[list[ScoredCase], str]:
    async with WorkerClient(_worker(options)) as client:
        model = await client.describe()
        found = [scored async for scored in scored_cases(client, cases, _cache(name, options), options.seconds)]
        return found, f"{model.name}, {model.precision} ({model.precision_reason})"


async def _fixes(name: str, options: argparse.Namespace) -> None:
    cases, cache = list(read_scores(_cache(name, options))), _cache(f"{name}-fixes", options)
    async with WorkerClient(_worker(options)) as client:
        asked = [each async for each in expected_lines(client, cases, cache, options.seconds)]
    print(f"\n{name}: the most suspicious line of each of {len(asked)} files")
    print_fixes(asked)


# -- tables ---------------------------------------------------------------------------------


def report_faults(files: Sequence[Sheet], planted: Sequence[Sheet]) -> None:
    """Print what the shipped classifier finds in programs it knows nothing of, and what others would.

    Those are fitted to the `planted` faults, as it is, or by folds within the programs.
    """
    shipped = line_classifier()
    rankings = {"**shipped**": [sheet.ranked(line_fit.scores(shipped, sheet)) for sheet in files]}
    choices = line_fit.choices(files[0])
    for name in [name for name in choices if name != SHIPPED and planted]:
        other = line_fit.fitted(planted, choices[name])
        rankings[f"{name}, planted faults"] = [sheet.ranked(line_fit.scores(other, sheet)) for sheet in files]
    for name, choice in choices.items():
        rankings[f"{name}, folds within these programs"] = _ranked(files, line_fit.folded(files, choice))
    rankings |= _baselines(files)
    print_comparison(rankings)
    best = rankings["**shipped**"]
    print_parts("language", best, rankings["length"], lambda file: file.language)
    print_parts("kind of fault", best, rankings["length"], lambda file: file.kind)
    print_reliability(files, _shipped_log_odds(files))


def _shipped_log_odds(files: Sequence[Sheet]) -> list[list[float]]:
    shipped = line_classifier()
    return [[shipped.slope * score + shipped.offset for score in line_fit.scores(shipped, s)] for s in files]


def report_seeded(files: Sequence[Sheet], write_to: Path | None) -> None:
    """Print what classifiers find in packages that they were not fitted to; fit and write the one that ships."""
    odds = {name: line_fit.folded(files, choice) for name, choice in line_fit.choices(files[0]).items()}
    rankings = {f"{name}, folds by package": _ranked(files, each) for name, each in odds.items()}
    rankings |= _baselines(files)
    print_comparison(rankings)
    best = rankings[f"{SHIPPED}, folds by package"]
    print_parts("language", best, rankings["length"], lambda file: file.language)
    print_kinds(files, odds[SHIPPED])
    slope, offset = line_fit.calibration(files, odds[SHIPPED])
    print_reliability(files, _calibrated(odds[SHIPPED], slope, offset))
    if write_to:
        classifier = line_fit.fitted(files, line_fit.choices(files[0])[SHIPPED])
        offset += slope * classifier.offset
        made = {
            "by": "python -m benchmarks.lint seeded --write",
            "files": len(files),
            "lines": sum(len(sheet.is_wrong) for sheet in files),
            "faults": sum(sum(sheet.is_wrong) for sheet in files),
            "packages": len({sheet.scored.case.cluster for sheet in files}),
        }
        shipped = LogisticClassifier(classifier.weighed, slope, offset)
        write_to.write_text(record(shipped, {"made": made}), encoding="utf-8")


def _calibrated(log_odds: Sequence[Sequence[float]], slope: float, offset: float) -> list[list[float]]:
    return [[slope * each + offset for each in file] for file in log_odds]


def reliability_plot(planted: Sequence[Sheet], programs: Sequence[Sheet]) -> str:
    """Return a plot (SVG) of how often lines were wrong, by how likely they were said to be.

    The planted faults are judged by folds over packages, the programs by the classifier that ships.
    """
    odds = line_fit.folded(planted, line_fit.choices(planted[0])[SHIPPED])
    calibrated = _calibrated(odds, *line_fit.calibration(planted, odds))
    return svg(
        [
            _reliability_panel(f"Planted faults, {len(planted)} files: share that was wrong", planted, calibrated),
            _reliability_panel(
                f"HumanEvalPack, {len(programs)} programs: share that was wrong", programs, _shipped_log_odds(programs)
            ),
        ]
    )


def _reliability_panel(title: str, files: Sequence[Sheet], log_odds: Sequence[Sequence[float]]) -> Panel:
    points = line_fit.reliability(files, log_odds, EDGES)
    curves = {
        "as said": [(0.0, 0.0), (1.0, 1.0)],
        "were wrong": [(said, share.value) for said, _, _, share in points if share],
        "95 %: least": [(said, share.low) for said, _, _, share in points if share],
        "95 %: most": [(said, share.high) for said, _, _, share in points if share],
    }
    return Panel(title, curves, x_label="said to be wrong", y_range=(0.0, 1.0))


def _ranked(files: Sequence[Sheet], scores: Sequence[Sequence[float]]) -> list[RankedFile]:
    return [sheet.ranked(each) for sheet, each in zip(files, scores, strict=True)]


def _baselines(files: Sequence[Sheet]) -> dict[str, list[RankedFile]]:
    rankings = {}
    for name, baseline in BASELINES.items():
        every = [baseline(split_lines(sheet.scored.case.text)) for sheet in files]
        kept = [[each[line - 1] for line in sheet.lines] for sheet, each in zip(files, every, strict=True)]
        rankings[name] = _ranked(files, kept)
    return rankings


def print_comparison(rankings: dict[str, list[RankedFile]]) -> None:
    """Print how well each ranking does, and by how much the first is better than the others."""
    first = next(iter(rankings.values()))
    print("| ranking | AUC | top 1 | top 3 | first against it |\n|---|---|---|---|---|")
    for name, files in rankings.items():
        values = [
            measured(files, RankedFile.area),
            *(measured(files, partial(RankedFile.found_in_top, count=k)) for k in (1, 3)),
        ]
        better = "" if files is first else _shown(gain(first, files, RankedFile.area), sign=True)
        print(f"| {name} | {' | '.join(map(_shown, values))} | {better} |")
    print()


def print_parts(
    title: str, files: Sequence[RankedFile], base: Sequence[RankedFile], key: Callable[[RankedFile], str]
) -> None:
    """Print how well a ranking does on each part of the files, beside a baseline."""
    print(f"| {title} | files | AUC | top 1 | top 3 | AUC by length | gain |\n|---|---|---|---|---|---|---|")
    for part in sorted({key(file) for file in files}):
        own = [file for file in files if key(file) == part]
        other = [file for file in base if key(file) == part]
        values = [
            measured(own, RankedFile.area),
            *(measured(own, partial(RankedFile.found_in_top, count=k)) for k in (1, 3)),
        ]
        values.append(measured(other, RankedFile.area))
        better = _shown(gain(own, other, RankedFile.area), sign=True)
        print(f"| {part} | {len(own)} | {' | '.join(map(_shown, values))} | {better} |")
    print()


def print_kinds(files: Sequence[Sheet], log_odds: Sequence[Sequence[float]]) -> None:
    """Print how well each kind of planted fault is told from the right lines of its file."""
    print("| planted | faults | AUC |\n|---|---|---|")
    for kind in sorted({kind for sheet in files for kind in sheet.scored.case.kinds.values()}):
        ranked, faults = [], 0
        for sheet, odds in zip(files, log_odds, strict=True):
            kinds = [sheet.scored.case.kinds.get(line) for line in sheet.lines]
            kept = [index for index, each in enumerate(kinds) if each in (None, kind)]
            if kind in kinds:
                file = sheet.ranked(odds)
                scores, wrong = [file.scores[index] for index in kept], [file.is_wrong[index] for index in kept]
                ranked.append(replace(file, scores=tuple(scores), is_wrong=tuple(wrong)))
                faults += sum(wrong)
        print(f"| {kind} | {faults} | {_shown(measured(ranked, RankedFile.area))} |")
    print()


def print_reliability(files: Sequence[Sheet], log_odds: Sequence[Sequence[float]]) -> None:
    """Print how often lines were wrong, by how likely they were said to be."""
    print("| said | lines | said on average | were wrong | share |\n|---|---|---|---|---|")
    for (low, high), (mean, lines, wrong, share) in zip(
        pairwise(EDGES), line_fit.reliability(files, log_odds, EDGES), strict=True
    ):
        shown = f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]" if share else ""
        print(f"| {low:.0%} to {high:.0%} | {lines} | {mean:.1%} | {wrong} | {shown} |")
    print()


def _shown(estimate: Estimate, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{estimate.value:{plus}.3f} [{estimate.low:{plus}.3f}, {estimate.high:{plus}.3f}]"


if __name__ == "__main__":
    main()
