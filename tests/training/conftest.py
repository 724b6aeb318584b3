"""A small corpus of this repository's own files, and a tiny checkpoint to start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint.own_format import save_checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.training.shards import Document, write_corpus
from tests.model.tiny import tiny_checkpoint

ROOT = Path(__file__).parents[2]

SETTINGS = """
[data]
corpus = "corpus"
start = "start"

[examples]
unit_rows = 256
window_min = 24
window_max = 48
span_max = 12
left_min = 4
right_min = 4
context_tokens_min = 4
context_tokens_max = 12
joint_span_max = 4
joint_between_max = 8
joint_free_ids = 80

[optimiser]
rows_per_update = 1024
peak_rate = 1e-3
warm_up_updates = 2

[run]
updates = 6
device = "cpu"
micro_batch_units = 2
head_chunk_rows = 64
checkpoint_s = 0.0
"""


def write_small_corpus(directory: Path) -> None:
    checkpoint = tiny_checkpoint()
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    documents, ids, nodes = [], [], []
    for package in ("model", "grammars"):
        for path in sorted((ROOT / package).glob("*.py"))[:8]:
            text = path.read_text(encoding="utf-8")[:2000]
            tokens = tokenizer.encode(tokenizer.readable(text))
            begins = range(0, len(text.encode()) - 30, 40)
            documents.append(
                Document(package, "1", f"{package}/{path.name}", "python", "Apache-2.0", "", len(tokens), len(begins))
            )
            ids.append(np.array(tokens, np.uint16))
            nodes.append(np.array([(begin, begin + 20) for begin in begins], np.uint32))
    write_corpus(directory, documents, ids, nodes, {})


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data") / "corpus"
    write_small_corpus(directory)
    return directory


@pytest.fixture
def training_directory(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes corpus, start and settings, with lines of the latter replaced, and returns them."""
    write_small_corpus(tmp_path / "corpus")
    save_checkpoint(tiny_checkpoint(scale=0.1), tmp_path / "start", "float32")

    def write(name: str, **changes: object) -> Path:
        lines = []
        for line in SETTINGS.splitlines():
            key = line.partition(" = ")[0]
            value = changes.pop(key, None)
            lines.append(line if value is None else f"{key} = {value}")
        assert not changes, f"no such settings: {changes}"
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join(lines))
        return path

    return write
