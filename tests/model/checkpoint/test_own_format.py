"""Our own directories: saved, loaded, saved over, damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoint.config import RopeScaling
from model.checkpoint.description import verify_files
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import save_checkpoint
from model.errors import CheckpointError
from tests.model.checkpoint.damage import edit_json, edit_weights, truncate
from tests.model.checkpoint_files import (
    CODE,
)
from tests.model.tiny import tiny_checkpoint


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16", "int8"])
@pytest.mark.parametrize("shard_bytes", [2 << 30, 20_000])
def test_save_and_load(tmp_path: Path, dtype: str | None, shard_bytes: int) -> None:
    checkpoint = tiny_checkpoint(qkv_bias=True, tied_head=False, rope_scaling=RopeScaling("yarn", 2.0, 64))
    save_checkpoint(checkpoint, tmp_path / "new" / "m", dtype=dtype, shard_bytes=shard_bytes)
    loaded = load_checkpoint(tmp_path / "new" / "m")
    verify_files(tmp_path / "new" / "m")
    assert (loaded.name, loaded.config, loaded.capabilities) == ("tiny", checkpoint.config, checkpoint.capabilities)
    assert loaded.tokenizer.encode(CODE).ids == checkpoint.tokenizer.encode(CODE).ids
    for name, original in checkpoint.tensors.items():
        tensor = loaded.float_tensor(name)
        if original.dim() == 1 or dtype in (None, "float32"):
            assert torch.equal(tensor, original)
        elif dtype == "int8":
            assert loaded.tensors[name].dtype == torch.int8
            scale = loaded.tensors[name + ".scale"]
            assert (scale.shape, scale.dtype) == (original.shape[:1], torch.float32)
            assert ((tensor - original).abs() <= scale[:, None] * 0.501).all()
        else:
            assert torch.equal(tensor, original.to(getattr(torch, dtype)).float())
    assert (len(list((tmp_path / "new" / "m").glob("*.safetensors"))) > 1) == (shard_bytes == 20_000)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["m"]


def test_int8_is_saved_again_as_it_is(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "a", dtype="int8")
    for dtype in (None, "int8"):
        save_checkpoint(load_checkpoint(tmp_path / "a"), tmp_path / "b", dtype=dtype)
        first, second = load_checkpoint(tmp_path / "a"), load_checkpoint(tmp_path / "b")
        assert set(first.tensors) == set(second.tensors)
        assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_rows_of_zeros_in_int8(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    checkpoint.tensors["embed_tokens.weight"][3] = 0.0
    save_checkpoint(checkpoint, tmp_path / "m", dtype="int8")
    assert not load_checkpoint(tmp_path / "m").float_tensor("embed_tokens.weight")[3].any()


def test_saving_replaces_our_own_and_nothing_else(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(seed=0), tmp_path / "m")
    held = load_checkpoint(tmp_path / "m")
    save_checkpoint(tiny_checkpoint(seed=1), tmp_path / "m")
    new, old = tiny_checkpoint(seed=1), tiny_checkpoint(seed=0)
    assert torch.equal(load_checkpoint(tmp_path / "m").tensors["norm.weight"], new.tensors["norm.weight"])
    assert torch.equal(held.tensors["norm.weight"], old.tensors["norm.weight"])  # still mapped by who loaded it
    (tmp_path / "empty").mkdir()
    save_checkpoint(tiny_checkpoint(), tmp_path / "empty")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(CheckpointError, match="choose another directory"):
        save_checkpoint(tiny_checkpoint(), tmp_path / "photos")
    with pytest.raises(ValueError, match="none of"):
        save_checkpoint(tiny_checkpoint(), tmp_path / "m", dtype="int4")


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_interrupted_save_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    save_checkpoint(tiny_checkpoint(seed=0), tmp_path / "m")
    written = []

    def failing_save(tensors: dict, path: Path) -> None:
        if written:
            raise error
        written.append(path)
        save_file(tensors, path)

    monkeypatch.setattr("model.checkpoint.own_format.save_file", failing_save)
    with pytest.raises(CheckpointError if isinstance(error, OSError) else KeyboardInterrupt):
        save_checkpoint(tiny_checkpoint(seed=1), tmp_path / "m", shard_bytes=20_000)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    verify_files(tmp_path / "m")
    assert torch.equal(load_checkpoint(tmp_path / "m").tensors["norm.weight"], tiny_checkpoint().tensors["norm.weight"])


def description_edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda directory: edit_json(directory / "setfill.json", change)


WEIGHTS = "weights-00000.safetensors"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "setfill.json").write_text("nonsense"), "not JSON"),
        (lambda d: (d / "setfill.json").write_text("[" * 100_000), "not JSON"),
        (lambda d: (d / "setfill.json").write_bytes(b"\xff\xfe"), "cannot read"),
        (description_edit(lambda data: data.update(format_version=2)), "update Setfill"),
        (description_edit(lambda data: data.pop("name")), "damaged.*'name'"),
        (description_edit(lambda data: data["config"].update(colour="red")), "damaged.*colour"),
        (description_edit(lambda data: data["config"].update(heads="four")), "damaged|heads is"),
        (description_edit(lambda data: data["config"].update(rope_scaling="yes")), "damaged"),
        (description_edit(lambda data: data["config"].update(rope_scaling={"kind": "x"})), "'x' is not supported"),
        (
            description_edit(lambda data: data["config"].update(rope_scaling={"kind": "yarn", "factor": "2"})),
            "factor is '2'",
        ),
        (description_edit(lambda data: data["capabilities"].update(eoi_id=None)), "damaged.*eoi_id"),
        (description_edit(lambda data: data["capabilities"].update(mask_id=10**6)), "mask_id 1000000 is not the id"),
        (description_edit(lambda data: data["weights"][0].update(file="../x")), "names files outside"),
        (description_edit(lambda data: data.update(weights={})), "embed_tokens.weight is missing|only 0 tensors"),
        (description_edit(lambda data: data.update(weights=[1])), "damaged"),
        (description_edit(lambda data: data["config"].update(vocab_size=100)), "has shape"),
        (lambda d: (d / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (lambda d: truncate(d / WEIGHTS), "is missing or not .* bytes long"),
        (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda d: truncate(d / "tokenizer.json"), "tokenizer.json is missing or not"),
        (description_edit(lambda data: data.pop("tokenizer")), "damaged"),
    ],
)
def test_damaged_own_directory(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m")
    damage(tmp_path / "m")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("scale", [torch.ones(7), torch.ones(64, dtype=torch.float64), None])
def test_int8_needs_its_scale(tmp_path: Path, scale: torch.Tensor | None) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m", dtype="int8")
    name = "layers.0.mlp.up_proj.weight.scale"
    path = tmp_path / "m" / WEIGHTS
    edit_weights(path, lambda weights: weights.update({name: scale}) if scale is not None else weights.pop(name))
    edit_json(tmp_path / "m" / "setfill.json", lambda data: data["weights"][0].update(bytes=path.stat().st_size))
    with pytest.raises(CheckpointError, match=r"int8 tensor layers.0.mlp.up_proj.weight needs a float32 .*scale"):
        load_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("file", [WEIGHTS, "tokenizer.json"])
def test_flipped_bit_is_found_when_asked_for(tmp_path: Path, file: str) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m")
    path = tmp_path / "m" / file
    content = bytearray(path.read_bytes())
    content[-5] ^= 16
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{file} is damaged"):
        verify_files(tmp_path / "m")
