"""Suggestions that are worth showing: collected, what they are worth fitted, and checked on what people took.

    python -m benchmarks.worth collect PATH... --language go        # asks the model; goes on where it was ended
    python -m benchmarks.worth fit .cache/worth/*.jsonl            # compares what may be weighed, folds by package
    python -m benchmarks.worth fit .cache/worth/*.jsonl --write    # the same, and fits lsp_server/worth_odds.json
    python -m benchmarks.worth calibrate .cache/worth/*.jsonl      # keeps what numbers weigh, and fits slope and offset
    python -m benchmarks.worth people human_decisions.jsonl.gz     # what is shipped, on another system's suggestions

Tables are Markdown, with 95 % intervals that draw whole files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import worth_fit
from benchmarks.logistic import Matrix, record
from benchmarks.worth_cases import Asked, Suggested, asked_places, collect, suggested
from benchmarks.worth_people import decisions, judged_decisions
from lsp_server.worth import classifier_that_ships, least_chances
from model import store
from model.evaluation.statistics import Estimate, clustered_mean
from model.worker.engine import Engine
from setfill.eval_lines_command import read_sources

CACHE = Path(".cache") / "worth"
ODDS = Path("lsp_server") / "worth_odds.json"
_LANGUAGES = ("python", "javascript", "typescript", "tsx", "java", "go", "rust", "ruby", "php", "cpp")
FLOOR = 0.55  # of the confidence: what decided before
_BASE = ("confidence", "loss")
_ALL = (*_BASE, "flaws", "mends")
SHIPPED = "confidence, loss, syntax"
CHOICES: dict[str, tuple[str, ...]] = {
    "mean": ("mean",),
    "mean, most": ("mean", "most"),
    "confidence, tokens": ("confidence", "tokens"),
    "confidence, loss": _BASE,
    SHIPPED: _ALL,
    "and most, first": (*_ALL, "most", "first"),
    "and share kept": (*_ALL, "kept"),
    "and how it ended": (*_ALL, "by_eoi", "cut_off"),
    "and tokens, lines, characters": (*_ALL, "tokens", "lines", "chars"),
    "and names that stand nowhere": (*_ALL, "unknown_names"),
    "and repetition, likeness": (*_ALL, "repeats", "line_above", "line_elsewhere", "words_near"),
    "and kind of place": (*_ALL, "line_start", "text_behind", "comment", "string", "import"),
    "and language": (*_ALL, *(f"is_{language}" for language in _LANGUAGES)),
}
SHARES = (0.1, 0.25, 0.4, 0.5, 0.6)  # of the suggestions, shown
EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # of the calibration table


def main() -> None:
    options = _parser().parse_args()
    if options.command == "collect":
        run_collect(options)
    elif options.command == "fit":
        run_fit(options.answers, write=options.write)
    elif options.command == "calibrate":
        run_calibrate(options.answers)
    else:
        run_people(options.path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect", help="ask the model at places of source trees")
    collecting.add_argument("paths", type=Path, nargs="+", help="source trees that nobody trained on")
    collecting.add_argument("--language", required=True)
    collecting.add_argument("--files", type=int, default=12)
    collecting.add_argument("--places", type=int, default=80)
    collecting.add_argument("--seed", type=int, default=5)
    collecting.add_argument("--out", type=Path, help=f"default: {CACHE}/LANGUAGE.jsonl")
    fit = commands.add_parser("fit", help="compare what may be weighed, and fit it")
    fit.add_argument("answers", type=Path, nargs="+", help="what collect wrote")
    fit.add_argument("--write", action="store_true", help=f"fit to all, and write {ODDS}")
    calibrate = commands.add_parser(
        "calibrate", help="keep what numbers weigh, and fit slope and offset to new answers"
    )
    calibrate.add_argument("answers", type=Path, nargs="+", help="what collect wrote")
    people = commands.add_parser("people", help="what is shipped, on suggestions that people took or not")
    people.add_argument("path", type=Path, help="human_decisions.jsonl.gz")
    return parser


def run_collect(options: argparse.Namespace) -> None:
    sources = read_sources(options.paths, [options.language], options.files, options.seed)
    places = asked_places(sources, options.places, options.seed)
    out = options.out or CACHE / f"{options.language}.jsonl"
    collect(
        Engine.load(store.find()), places, out, lambda done, total: print(f"{done} of {total}", end="\r", flush=True)
    )
    print(f"\n{len(places)} places of {len(sources)} files in {out}")


# -- fitting ----------------------------------------------------------------------------------


def run_fit(paths: Sequence[Path], *, write: bool) -> None:
    """Print what each choice of numbers brings, and of the shipped one how it does; with `write`, fit it."""
    examples, places = _read(paths)
    right, before = worth_fit.outcomes(examples), np.array([example.confidence for example in examples])
    files = [example.asked.source.name for example in examples]
    shown = before >= FLOOR
    print(f"{len(places)} places, {len(examples)} suggestions, {int(right.sum())} right; ", end="")
    print(f"at the floor {int(shown.sum())}, {int(right[shown].sum())} right\n")
    print("| weighed | AUC | right of the best tenth | quarter | half | gain at a quarter |\n|---|---|---|---|---|---|")
    scores = {"confidence": before}
    scores |= {name: worth_fit.folded(examples, numbers) for name, numbers in CHOICES.items()}
    for name, score in scores.items():
        parts = [100 * worth_fit.rightness(score, right, round(share * len(right))) for share in (0.1, 0.25, 0.5)]
        gained = worth_fit.gain(score, before, right, 0.25, files)
        row = [name, f"{worth_fit.auc(score, right):.3f}", *(f"{part:.1f}" for part in parts), _points(gained)]
        print(f"| {' | '.join(row)} |")
    print_tables(scores[SHIPPED], examples, places)
    if write:
        classifier = worth_fit.fitted(examples, CHOICES[SHIPPED])
        made = {"by": "python -m benchmarks.worth fit --write", **_counts(examples, places)}
        ODDS.write_text(record(classifier, {"made": made, "least": least_chances()}), encoding="utf-8")


def run_calibrate(paths: Sequence[Path]) -> None:
    """Fit slope and offset of what is shipped, write them, and print how it does, folds by package."""
    examples, places = _read(paths)
    right, shipped = worth_fit.outcomes(examples), classifier_that_ships()
    chances = worth_fit.folded_calibration(shipped, examples)
    print(f"{len(places)} places, {len(examples)} suggestions, {int(right.sum())} right; ", end="")
    print(f"AUC {worth_fit.auc(chances, right):.3f}")
    print_tables(chances, examples, places)
    plain = json.loads(ODDS.read_text(encoding="utf-8"))
    facts = {"made": plain["made"], "calibrated": _counts(examples, places), "least": least_chances()}
    ODDS.write_text(record(worth_fit.calibrated(shipped, examples), facts), encoding="utf-8")


def _read(paths: Sequence[Path]) -> tuple[list[Suggested], list[Asked]]:
    examples: list[Suggested] = []
    places: list[Asked] = []
    for path in paths:
        found, asked = suggested(path)
        examples += found
        places += asked
    return examples, places


def _counts(examples: Sequence[Suggested], places: Sequence[Asked]) -> dict[str, int]:
    return {
        "places": len(places),
        "suggestions": len(examples),
        "right": int(worth_fit.outcomes(examples).sum()),
        "files": len({example.asked.source.name for example in examples}),
        "packages": len({example.package for example in examples}),
    }


def print_tables(scores: Matrix, examples: Sequence[Suggested], places: Sequence[Asked]) -> None:
    """Print how well these chances do: by share shown, by eagerness, by chance, by language."""
    right, before = worth_fit.outcomes(examples), np.array([example.confidence for example in examples])
    files = [example.asked.source.name for example in examples]
    print_shares(scores, before, right, files)
    print_levels(scores, right, files)
    print_calibration(scores, right, files)
    print_languages(examples, places, scores)


def print_shares(scores: Matrix, before: Matrix, right: Matrix, files: Sequence[str]) -> None:
    """Print how often right what is shown is, by the confidence and by the chance, at equal shares."""
    print("\n| shown | right by confidence | by chance | gain |\n|---|---|---|---|")
    today = float((before >= FLOOR).mean())
    for share in sorted({*SHARES, today}):
        count = round(share * len(right))
        each = [100 * worth_fit.rightness(score, right, count) for score in (before, scores)]
        gained = worth_fit.gain(scores, before, right, share, files)
        name = f"{100 * share:.0f} %" + (f" (confidence {FLOOR})" if share == today else "")
        print(f"| {name} | {each[0]:.1f} | {each[1]:.1f} | {_points(gained)} |")


def print_levels(scores: Matrix, right: Matrix, files: Sequence[str]) -> None:
    """Print what each eagerness shows."""
    print("\n| eagerness | least chance | shown | right | of those that are right, shown |\n|---|---|---|---|---|")
    for name, least in least_chances().items():
        shown = scores >= least
        of_shown = clustered_mean(right[shown].tolist(), [f for f, s in zip(files, shown, strict=True) if s])
        found = f"{100 * right[shown].sum() / right.sum():.0f} %"
        print(f"| {name} | {least:g} | {100 * shown.mean():.0f} % | {_percent(of_shown)} | {found} |")


def print_calibration(scores: Matrix, right: Matrix, files: Sequence[str]) -> None:
    """Print how often suggestions were right, by the chance they were given."""
    print("\n| chance | suggestions | mean chance | right |\n|---|---|---|---|")
    for low, high in pairwise(EDGES):
        within = (scores >= low) & (scores < high)
        if within.any():
            share = clustered_mean(right[within].tolist(), [f for f, w in zip(files, within, strict=True) if w])
            print(
                f"| {low:g} to {high:g} | {int(within.sum())} | {100 * scores[within].mean():.1f} | {_percent(share)} |"
            )


def print_languages(examples: Sequence[Suggested], places: Sequence[Asked], scores: Matrix) -> None:
    """Print how often the first line is right, by language: at all places, and where balanced shows something."""
    print("\n| language | places (files) | right, of all places | shown by balanced | right, of these |")
    print("|---|---|---|---|---|")
    least = least_chances()["balanced"]
    right = {example.asked.key for example in examples if example.is_right}
    shown_keys = {each.asked.key for each, score in zip(examples, scores, strict=True) if score >= least}
    for language in [*sorted({asked.source.language for asked in places}), None]:
        of = [asked for asked in places if language in (asked.source.language, None)]
        shown = [asked for asked in of if asked.key in shown_keys]
        files = len({asked.source.name for asked in of})
        rates = [_percent(_rate(some, right)) if some else "" for some in (of, shown)]
        print(f"| {language or 'all'} | {len(of)} ({files}) | {rates[0]} | {len(shown)} | {rates[1]} |")


def _rate(places: Sequence[Asked], right: set[str]) -> Estimate:
    return clustered_mean([float(asked.key in right) for asked in places], [asked.source.name for asked in places])


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _points(gained: Estimate) -> str:
    return f"{100 * gained.value:+.1f} [{100 * gained.low:+.1f}, {100 * gained.high:+.1f}]"


# -- people -----------------------------------------------------------------------------------


def run_people(path: Path) -> None:
    """Print how well the shipped chance tells suggestions that people took from those that they did not."""
    found = decisions(path)
    print("scoring", len(found), "suggestions")
    judged = judged_decisions(Engine.load(store.find()), found, CACHE / "people.jsonl")
    accepted = np.array([float(decision.accepted) for decision in found])
    users = np.array([decision.user for decision in found])
    chance = np.array([verdict.chance for verdict in judged])
    rows = {"chance": chance, "confidence": np.array([verdict.confidence for verdict in judged])}
    print(f"\n| user | suggestions | taken | {' | '.join(rows)} |\n|---|---|---|---|---|")
    for user in [*sorted(set(users)), None]:
        of = users == user if user is not None else np.full(len(users), fill_value=True)
        cells = [f"{worth_fit.auc(scores[of], accepted[of]):.3f}" for scores in rows.values()]
        print(f"| {'all' if user is None else user} | {of.sum()} | {int(accepted[of].sum())} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
