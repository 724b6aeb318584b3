"""Model files made to hang, to fill memory or to break what reads them: each is refused at once, with a sentence.

The suite's own limit bounds the time a reader takes: what these tests are about took minutes, or for ever.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from model import store
from model.checkpoint.gguf_header import read_header
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import save_checkpoint
from model.errors import CheckpointError
from setfill import cli
from tests.model.checkpoint_files import save_huggingface, write_gguf
from tests.model.tiny import tiny_checkpoint

STRING, ARRAY, UINT8 = 8, 9, 0


@pytest.fixture(scope="module")
def huggingface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hf") / "model"
    save_huggingface(directory, "Llama")
    return directory


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("own") / "model"
    save_checkpoint(tiny_checkpoint(layers=1), directory)
    return directory


def copied(directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory, tmp_path / "model"))


def check_refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def header(*entries: bytes, tensors: int = 0, keys: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries) if keys is None else keys) + b"".join(entries)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def array(kind: int, count: int, content: bytes = b"") -> bytes:
    return text("general.tags") + struct.pack("<IIQ", ARRAY, kind, count) + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(array(UINT8, 2**40)), "claims 1099511627776 numbers"),
        (header(array(STRING, 2**40)), "claims 1099511627776 texts"),
        (header(array(STRING, 500_000, bytes(4_000_000))), "lacks the metadata key general.architecture"),
        (header(array(ARRAY, 2, struct.pack("<IQ", ARRAY, 2) * 1000)), "unknown kind 9"),
        (header(array(99, 0)), "unknown kind 99"),
        (header(keys=2**63), "claims 9223372036854775808 keys"),
        (header(tensors=2**63), "claims 9223372036854775808 tensors"),
        (header(keys=1), "claims 1 keys"),
        (header(struct.pack("<Q", 2**63) + bytes(20)), "ends in the middle of its header"),
        (header(text("general.alignment") + struct.pack("<II", 4, 0)), "alignment 0 is no power of two"),
        (header(text("a") + struct.pack("<IB", 0, 1), text("a") + struct.pack("<IB", 0, 1)), "'a' is there twice"),
        (header(text("t") + struct.pack("<I", 2**31) + bytes(24), tensors=1, keys=0), "has 2147483648 dimensions"),
        (header(text("t") + struct.pack("<IQQIQ", 2, 2**62, 2**62, 0, 0), tensors=1, keys=0), "larger than the file"),
        (header(text("t") + struct.pack("<IQIQ", 1, 8, 0, 2**63), tensors=1, keys=0), "before the numbers of tensor t"),
        (header(text("t") + struct.pack("<IQIQ", 1, 8, 77, 0), tensors=1, keys=0), "is quantised as 77"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "for big-endian machines"),
        (b"", "not a whole GGUF file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_gguf_counts_are_compared_with_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    """An array of 2^40 elements in 100 bytes ran past 40 s; half a million empty texts took 21 s."""
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    check_refused(path, message)


def test_the_header_says_what_the_gguf_package_reads(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_checkpoint())
    found, reference = read_header(tmp_path / "m.gguf"), gguf.GGUFReader(tmp_path / "m.gguf")
    assert found.metadata == {k: f.contents() for k, f in reference.fields.items() if not k.startswith("GGUF.")}
    assert [(t.name, t.shape, t.type_number, t.start_byte) for t in found.tensors] == [
        (t.name, tuple(int(n) for n in reversed(t.shape)), t.tensor_type, t.data_offset) for t in reference.tensors
    ]


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 33)


@pytest.mark.parametrize("kind", ["huggingface", "own"])
@pytest.mark.parametrize(("become", "message"), [(pipe, "not a regular file"), (device, "not a regular file")])
def test_pipes_and_devices_are_not_opened(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, become: Callable[[Path], None], message: str
) -> None:
    source: Path = request.getfixturevalue(kind)
    for name in sorted(path.name for path in source.iterdir()):
        if name not in ("generation_config.json", "tokenizer_config.json"):  # which nobody reads
            directory = copied(source, tmp_path / name)
            become(directory / name)
            with pytest.raises(CheckpointError, match=f"{message}|is missing|holds no model"):
                load_checkpoint(directory)
            assert store.info(directory).problem
    path = tmp_path / "m.gguf"
    path.touch()
    become(path)
    check_refused(path, message)
    assert "not a regular file" in (store.info(path).problem or "")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_texts_are_of_bounded_size(huggingface: Path, tmp_path: Path, name: str) -> None:
    directory = copied(huggingface, tmp_path)
    huge(directory / name)
    check_refused(directory, f"{name} is 8590 MB large")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": [1], "rope_parameters": None}, "rope_scaling is .1., not an object"),
        ({"rope_scaling": "x", "rope_parameters": None}, "rope_scaling is 'x', not an object"),
        ({"rope_parameters": [1]}, "rope_scaling is .1., not an object"),
        ({"max_position_embeddings": 1}, "a context of 1 rows is too small"),
        ({"max_position_embeddings": 2**40}, "context_length is 1099511627776"),
        ({"head_dim": 0}, "head_dim is 0"),
        ({"head_dim": True}, "head_dim True is odd|head_dim is True"),
        ({"num_key_value_heads": 0}, "zero"),
        ({"num_hidden_layers": True}, "layers is True"),
        ({"num_hidden_layers": 1.0}, "layers is 1.0"),
        ({"rope_theta": 0, "rope_parameters": None}, "rope_base is 0.0"),
        ({"rope_theta": float("inf"), "rope_parameters": None}, "rope_base is inf"),
        ({"rope_theta": float("nan"), "rope_parameters": None}, "rope_base is nan"),
        ({"rope_theta": 1, "rope_parameters": None}, "rope_base is 1.0"),
        ({"rope_theta": 10**400, "rope_parameters": None}, "too large"),
        ({"rms_norm_eps": float("inf")}, "norm_eps is inf"),
        ({"rms_norm_eps": True}, "norm_eps is True"),
        ({"bos_token_id": 10**6}, "1000000 as beginning or end of text is not the id"),
        ({"bos_token_id": -1}, "-1 as beginning or end of text is not the id"),
        ({"eos_token_id": [True]}, "True as beginning or end of text is not the id"),
        ({"eos_token_id": "</s>"}, "'</s>' as beginning or end of text is not the id"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 0}}, "factor is 0.0"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}},
         "bounds of its rope scaling"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4, "beta_fast": 1, "beta_slow": 1}},
         "bounds of its rope scaling"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4, "attention_factor": float("inf")}},
         "attention_factor is inf"),
        ({"layer_types": 7}, "int"),
        ({"model_type": ["llama"]}, "not supported"),
    ],
)  # fmt: skip
def test_values_are_checked(huggingface: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    directory = copied(huggingface, tmp_path)
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    check_refused(directory, message)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("config", {"tied_head": "no"}, "tied_head is 'no'"),
        ("config", {"kv_heads": 0}, "damaged"),
        ("config", {"rope_scaling": [1]}, "damaged"),
        ("config", {"rope_base": 1e400}, "rope_base is inf"),
        ("capabilities", {"window": 1}, "a window of 1 rows is too small"),
        ("capabilities", {"window": "x"}, "capabilities cannot be"),
        ("capabilities", {"sink_id": None}, "sink_id None is not the id"),
        ("capabilities", {"sink_id": True}, "sink_id True is not the id"),
        ("tokenizer", {"bytes": 1e400}, "damaged"),
        ("tokenizer", {"file": "a" * 5000}, "is missing or not"),
    ],
)
def test_values_of_our_own_are_checked_too(
    own: Path, tmp_path: Path, part: str, changes: dict[str, Any], message: str
) -> None:
    directory = copied(own, tmp_path)
    path = directory / "setfill.json"
    data = json.loads(path.read_text())
    data[part] |= changes
    path.write_text(json.dumps(data))
    check_refused(directory, message)


def test_info_of_a_damaged_model_is_an_error(
    huggingface: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["models", "info", str(huggingface)]) == 0
    directory = copied(huggingface, tmp_path)
    (directory / "config.json").write_text("{}")
    assert cli.run(["models", "info", str(directory)]) == 2
    assert "model_type None is not supported" in capsys.readouterr().out
    assert cli.run(["models", "info", "a" * 5000]) == 2
    for kind in (pipe, device):
        path = tmp_path / kind.__name__
        path.touch()
        kind(path)
        assert cli.run(["models", "info", str(path)]) == 2
        assert cli.run(["models", "import", str(path), "--name", "x"]) == 2
