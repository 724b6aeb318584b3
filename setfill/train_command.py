"""`setfill train`: the corpus, what training starts from, runs, and whole models out of their pieces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from model.training.arguments import add_run_arguments
from setfill.arguments import A_MODEL


def add_parser(commands: Any) -> None:
    """Add `train` to the sub-parsers `commands`; each action's `run` takes the options and returns the exit status."""
    parser = commands.add_parser(
        "train",
        help="build a training corpus, train models",
        description="From released packages to an infilling model: docs/training.md says how.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))

    corpus = actions.add_parser(
        "corpus",
        help="build token shards from a manifest of packages",
        description="Download the packages of a manifest, filter and tokenise their source files.",
    )
    corpus.add_argument("manifest", metavar="MANIFEST", help="full, small, or a TOML file")
    corpus.add_argument("--out", type=Path, default=Path("corpus"), metavar="DIR", help="default: %(default)s")
    corpus.add_argument("--cache", type=Path, metavar="DIR", help="where downloads are kept (default: OUT/packages)")
    corpus.add_argument("--model", metavar="NAME|PATH", help="whose tokenizer to use (default: the default model)")
    corpus.set_defaults(run=run_corpus)

    start = actions.add_parser(
        "start",
        help="write a model as a run takes it",
        description="Write a model's weights in int8, in files below 48 MB, as the `start` of a training run.",
    )
    start.add_argument("model", metavar="NAME|PATH", help=A_MODEL)
    start.add_argument("out", type=Path, metavar="DIR", help="where to write it")
    start.set_defaults(run=run_start)

    run = actions.add_parser("run", help="train a model", description="Train a model as a TOML file says.")
    add_run_arguments(run)
    run.set_defaults(run=run_training)

    assemble = actions.add_parser(
        "assemble",
        help="make a model of a run's checkpoint",
        description="Put the pieces of a run's checkpoint together to a model directory.",
    )
    assemble.add_argument("pieces", type=Path, metavar="CHECKPOINT", help="RUN/checkpoints/update-...")
    assemble.add_argument(
        "tokenizer", type=Path, metavar="TOKENIZER", help="the tokenizer.json that the run started with"
    )
    assemble.add_argument("out", type=Path, metavar="DIR", help="where to write the model")
    assemble.add_argument(
        "--base", type=Path, metavar="START", help="move the weights towards those that training started from"
    )
    assemble.add_argument(
        "--base-share", type=float, metavar="SHARE", default=0.25, help="how far, with --base (default: %(default)s)"
    )
    assemble.set_defaults(run=run_assemble)


def run_corpus(options: argparse.Namespace) -> int:
    from grammars.nodes import syntax_nodes
    from model import store
    from model.checkpoint.loading import load_checkpoint
    from model.checkpoint.tokenization import ByteTokenizer
    from model.training.corpus.build import build_corpus
    from model.training.corpus.manifest import manifest_path, read_manifest

    packages = read_manifest(manifest_path(options.manifest))
    checkpoint = load_checkpoint(store.find(options.model) if options.model else store.find())
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    facts = build_corpus(packages, tokenizer, options.out, options.cache or options.out / "packages", syntax_nodes)
    print("tokens by language:", facts["tokens_by_language"])
    print("files left out:", facts["files_left_out"])
    return 0


def run_start(options: argparse.Namespace) -> int:
    from model import store
    from model.checkpoint.loading import load_checkpoint
    from model.checkpoint.own_format import save_checkpoint

    save_checkpoint(load_checkpoint(store.find(options.model)), options.out, "int8", shard_bytes=45 << 20)
    return 0


def run_training(options: argparse.Namespace) -> int:
    from model.training.run import run_command

    return run_command(options)


def run_assemble(options: argparse.Namespace) -> int:
    from model.training.assemble import assemble

    assemble(options.pieces, options.tokenizer, options.out, base=options.base, base_share=options.base_share)
    return 0
