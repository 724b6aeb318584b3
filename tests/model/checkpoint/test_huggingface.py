"""Hugging Face directories: what they mean, and what is said of damaged ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from model.checkpoint.config import Capabilities, RopeScaling
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import expected_shapes
from model.errors import CheckpointError
from tests.model.checkpoint.damage import edit_json, edit_weights, truncate
from tests.model.checkpoint_files import (
    CODE,
    ROPE_DEFAULT,
    ROPE_LINEAR,
    ROPE_LLAMA3,
    ROPE_YARN,
    save_huggingface,
)
from tests.model.tiny import SPECIAL_TOKENS, tiny_tokenizer


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("Llama", {}, {"architecture": "llama", "head_dim": 8, "norm_eps": 1e-6}),
        ("Llama", {"tie_word_embeddings": True, "rms_norm_eps": 1e-5}, {"tied_head": True, "norm_eps": 1e-5}),
        (
            "Llama",
            {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4, "head_dim": 16},
            {"qkv_bias": True, "output_bias": True, "ffn_bias": True, "kv_heads": 4, "head_dim": 16},
        ),
        ("Llama", {"shard_size": "12KB"}, {"tied_head": False}),
        ("Llama", {"dtype": torch.bfloat16}, {}),
        ("Llama", {"rope_parameters": ROPE_LINEAR}, {"rope_base": 50000.0, "rope_scaling": RopeScaling("linear", 2.0)}),
        (
            "Llama",
            {"rope_parameters": ROPE_LLAMA3},
            {"rope_base": 500000.0, "rope_scaling": RopeScaling("llama3", 8.0, 256, 1.0, 4.0)},
        ),
        ("Qwen2", {"tie_word_embeddings": True}, {"architecture": "qwen2", "qkv_bias": True, "tied_head": True}),
        ("Qwen2", {"rope_parameters": ROPE_YARN}, {"rope_scaling": RopeScaling("yarn", 4.0, 128)}),
        (
            "Qwen2",
            {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1},
            {"context_length": 64},  # inside the window it is ordinary attention
        ),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 2}, {"context_length": 512}),
        ("Qwen3", {"head_dim": 16}, {"architecture": "qwen3", "qk_norm": True, "head_dim": 16, "qkv_bias": False}),
        ("Qwen3", {"head_dim": 8, "attention_bias": True}, {"qkv_bias": True, "output_bias": True}),
        (
            "Granite",
            {
                "embedding_multiplier": 12.0,
                "attention_multiplier": 0.5,
                "residual_multiplier": 0.25,
                "logits_scaling": 8.0,
                "mlp_bias": True,
            },
            {
                "embedding_scale": 12.0,
                "attention_scale": 0.5,
                "residual_scale": 0.25,
                "logits_scale": 0.125,
                "ffn_bias": True,
                "qkv_bias": False,
            },
        ),
        (
            "Starcoder2",
            {"sliding_window": 100, "norm_epsilon": 1e-4},
            {
                "layer_norm": True,
                "gated_ffn": False,
                "qkv_bias": True,
                "output_bias": True,
                "ffn_bias": True,
                "tied_head": True,
                "norm_eps": 1e-4,
                "context_length": 100,
            },
        ),
        ("Starcoder2", {"use_bias": False, "tie_word_embeddings": False}, {"ffn_bias": False, "tied_head": False}),
    ],
)
def test_huggingface_directory(tmp_path: Path, kind: str, options: dict, expected: dict) -> None:
    network = save_huggingface(tmp_path, kind, **options)
    checkpoint = load_checkpoint(tmp_path)
    expected = {"width": 32, "layers": 2, "heads": 4, "ffn_width": 48, "context_length": 512} | expected
    assert {name: getattr(checkpoint.config, name) for name in expected} == expected
    weights = {
        name.removeprefix("model.").replace("mlp.c_fc", "mlp.up_proj").replace("mlp.c_proj", "mlp.down_proj"): tensor
        for name, tensor in network.state_dict().items()
    }
    if checkpoint.config.tied_head:
        del weights["lm_head.weight"]
    assert set(checkpoint.tensors) == set(weights) == set(expected_shapes(checkpoint.config))
    for name, tensor in weights.items():
        assert torch.equal(checkpoint.tensors[name], tensor), name
        assert checkpoint.tensors[name].dtype == tensor.dtype
    assert checkpoint.capabilities == Capabilities(sink_id=0, filename_id=4, window=checkpoint.config.context_length)
    assert checkpoint.name == tmp_path.name


@pytest.mark.parametrize(
    "rope", [ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN], ids=lambda rope: rope["rope_type"]
)
def test_classic_config_means_the_same(tmp_path: Path, rope: dict) -> None:
    """Configurations from before transformers 5: rope_theta beside rope_scaling, whose kind was once called type."""
    save_huggingface(tmp_path, "Llama", rope_parameters=dict(rope))
    config = load_checkpoint(tmp_path).config
    for kind_key in ("rope_type", "type"):

        def classic(data: dict, kind_key: str = kind_key) -> None:
            data.pop("rope_parameters", None)
            scaling = {key: value for key, value in rope.items() if key not in ("rope_theta", "rope_type")}
            data["rope_theta"] = rope["rope_theta"]
            data["rope_scaling"] = {kind_key: rope["rope_type"], **scaling} if scaling else None
            data["torch_dtype"] = data.pop("dtype", "float32")

        edit_json(tmp_path / "config.json", classic)
        assert load_checkpoint(tmp_path).config == config


@pytest.mark.parametrize(
    "extra", [{}, {"attention_factor": 1.25}, {"mscale": 0.7, "mscale_all_dim": 0.4}, {"beta_fast": 16, "beta_slow": 2}]
)
def test_yarn_attention_factor(tmp_path: Path, extra: dict) -> None:
    network = save_huggingface(tmp_path, "Llama", rope_parameters=ROPE_YARN | extra)
    scaling = load_checkpoint(tmp_path).config.rope_scaling
    assert scaling is not None
    _, expected = ROPE_INIT_FUNCTIONS["yarn"](network.config, torch.device("cpu"))
    default = 0.1 * np.log(scaling.factor) + 1
    assert (scaling.attention_factor or default) == pytest.approx(expected)
    assert scaling.beta_fast == extra.get("beta_fast", 32)


def test_tokenizer_spells_and_adds_nothing(tmp_path: Path) -> None:
    """A directory whose tokenizer normalises, adds a beginning of text and finds special tokens in the text."""
    save_huggingface(tmp_path, "Llama")
    eager = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    eager.normalizer = normalizers.NFC()
    eager.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    eager.enable_truncation(4)
    eager.add_tokens(["return"])
    eager.save(str(tmp_path / "tokenizer.json"))
    edit_json(tmp_path / "config.json", lambda data: data.update(vocab_size=eager.get_vocab_size()))
    weights = load_file(tmp_path / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = torch.zeros(eager.get_vocab_size(), 32)
    save_file(weights, tmp_path / "model.safetensors")

    tokenizer = load_checkpoint(tmp_path).tokenizer
    text = CODE + "e\u0301"
    ids = tokenizer.encode(text).ids
    assert ids == tiny_tokenizer().encode(text, add_special_tokens=False).ids[: len(ids)]
    assert "return" not in tokenizer.encode("return").tokens
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    ("vocabulary", "ids", "expected"),
    [
        (["<|endoftext|>"], {"bos_token_id": 1}, 2),
        (["<other>"], {"bos_token_id": 1}, 1),
        (["<other>"], {"bos_token_id": None, "eos_token_id": [5, 6]}, 5),
        (["<other>"], {"bos_token_id": None, "eos_token_id": None}, None),
    ],
)
def test_sink(tmp_path: Path, vocabulary: list[str], ids: dict, expected: int | None) -> None:
    save_huggingface(tmp_path, "Llama")
    byte_level = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.add_special_tokens(vocabulary)
    byte_level.save(str(tmp_path / "tokenizer.json"))
    edit_json(tmp_path / "config.json", lambda data: data.update(ids))
    if expected is None:
        with pytest.raises(CheckpointError, match=r"no <\|endoftext\|>"):
            load_checkpoint(tmp_path)
    else:
        assert load_checkpoint(tmp_path).capabilities.sink_id == expected


def to_pickle(directory: Path) -> None:
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()


def two_unindexed_files(directory: Path) -> None:
    shutil.copy(directory / "model.safetensors", directory / "a.safetensors")
    (directory / "model.safetensors").rename(directory / "b.safetensors")


def config_edit(**changes: Any) -> Callable[[Path], None]:
    return lambda directory: edit_json(directory / "config.json", lambda data: data.update(changes))


def weight_edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda directory: edit_weights(directory / "model.safetensors", change)


def tokenizer_edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda directory: edit_json(directory / "tokenizer.json", change)


Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def huggingface_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("huggingface")
    save_huggingface(directory, "Llama")
    return directory


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "neither setfill.json nor config.json"),
        (lambda d: (d / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda d: (d / "config.json").write_text("[]"), "not a JSON object"),
        (lambda d: edit_json(d / "config.json", lambda data: data.pop("hidden_size")), "lacks 'hidden_size'"),
        (config_edit(model_type="mamba"), "model_type 'mamba' is not supported; use a llama"),
        (config_edit(num_hidden_layers=-2), "layers is -2"),
        (config_edit(num_hidden_layers=10**9), "only 21 tensors"),
        (config_edit(num_hidden_layers="many"), "layers is 'many'"),
        (config_edit(num_key_value_heads=3), "do not divide"),
        (config_edit(num_attention_heads=0), "heads is 0"),
        (config_edit(quantization_config={"quant_method": "gptq"}), "unquantised copy"),
        (config_edit(hidden_act="gelu"), "only silu"),
        (config_edit(model_type="starcoder2", hidden_act="gelu"), "only gelu_pytorch_tanh"),
        (config_edit(model_type="granite", logits_scaling=0), "config.json: float division by zero"),
        (config_edit(model_type="granite", residual_multiplier=-1), "residual_scale is -1.0"),
        (config_edit(model_type="gpt_bigcode"), "model_type 'gpt_bigcode' is not supported"),
        (config_edit(rope_parameters={"rope_type": "longrope", "rope_theta": 1e4}), "'longrope' is not supported"),
        (config_edit(rope_parameters={"rope_type": "linear", "rope_theta": 1e4}), "lacks 'factor'"),
        (config_edit(rope_parameters=ROPE_YARN | {"truncate": False}), "'yarn' is not supported"),
        (config_edit(rope_parameters={"full_attention": dict(ROPE_DEFAULT)}), "of their own"),
        (config_edit(rope_parameters=ROPE_DEFAULT | {"partial_rotary_factor": 0.5}), "partial rotary"),
        (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json.*complete copy"),
        (lambda d: (d / "tokenizer.json").write_text('{"model": {}}'), "tokenizer.json"),
        (lambda d: truncate(d / "tokenizer.json"), "tokenizer.json is not a readable tokenizer"),
        (tokenizer_edit(lambda data: data["model"].update(type="WordPiece")), "only byte-level BPE"),
        (tokenizer_edit(lambda data: data["model"].update(byte_fallback=True)), "only byte-level BPE"),
        (tokenizer_edit(lambda data: data["model"].update(continuing_subword_prefix="##")), "marks its subwords"),
        (tokenizer_edit(lambda data: data.update(pre_tokenizer={"type": "Metaspace"})), "split its text into bytes"),
        (tokenizer_edit(lambda data: data.update(pre_tokenizer=None)), "split its text into bytes"),
        (
            tokenizer_edit(lambda data: data["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True)),
            "puts a space",
        ),
        (
            tokenizer_edit(
                lambda data: data["pre_tokenizer"]["pretokenizers"].insert(
                    0, {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
                )
            ),
            "drops the text it splits at",
        ),
        (tokenizer_edit(lambda data: data.update(normalizer={"type": "Lowercase"})), "rewrites its text"),
        (lambda d: (d / "model.safetensors").unlink(), "no \\*.safetensors"),
        (lambda d: truncate(d / "model.safetensors"), "model.safetensors.*not a whole safetensors file"),
        (lambda d: (d / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
        (to_pickle, "pytorch_model.bin is a pickle.*run any code"),
        (weight_edit(lambda w: w.pop(Q_PROJ)), "tensor layers.1.self_attn.q_proj.weight is missing"),
        (weight_edit(lambda w: w.update({Q_PROJ: torch.zeros(4, 4)})), r"tensor .* has shape \[4, 4\]"),
        (weight_edit(lambda w: w.update({Q_PROJ: w[Q_PROJ].double()})), "has dtype F64"),
        (weight_edit(lambda w: w.update({Q_PROJ: w[Q_PROJ].to(torch.int8)})), "int8 tensor .* needs a float32"),
        (weight_edit(lambda w: w.update({"model.lora_A.weight": torch.zeros(2)})), "lora_A.weight does not belong"),
        (two_unindexed_files, "several weight files"),
        (lambda d: (d / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../y"}}'), "beside it"),
        (lambda d: (d / "model.safetensors.index.json").write_text('{"weight_map": {"x": "gone"}}'), "gone is missing"),
    ],
)  # fmt: skip
def test_damaged_huggingface_directory(
    huggingface_directory: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(huggingface_directory, directory)
    damage(directory)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(directory)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1500), value=st.integers(0, 255))
def test_changed_header_is_an_error_of_ours_or_loads(
    huggingface_directory: Path, tmp_path: Path, place: int, value: int
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(huggingface_directory, directory, dirs_exist_ok=True)
    content = bytearray((directory / "model.safetensors").read_bytes())
    content[place] = value
    (directory / "model.safetensors").write_bytes(content)
    try:
        load_checkpoint(directory)
    except CheckpointError as error:
        assert str(directory) in str(error)  # noqa: PT017 (it may load as well)


def test_changing_a_tensor_leaves_its_file_alone(tmp_path: Path) -> None:
    """Tensors are mapped files: training in place must not write through."""
    save_huggingface(tmp_path, "Llama")
    before = (tmp_path / "model.safetensors").read_bytes()
    load_checkpoint(tmp_path).tensors["norm.weight"].zero_()
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert load_checkpoint(tmp_path).tensors["norm.weight"].any()


def test_extra_tensors_that_mean_nothing(huggingface_directory: Path, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(huggingface_directory, directory)
    frequencies = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    edit_weights(directory / "model.safetensors", lambda weights: weights.update(frequencies))
    assert "lm_head.weight" in load_checkpoint(directory).tensors
    config_edit(tie_word_embeddings=True)(directory)
    assert "lm_head.weight" not in load_checkpoint(directory).tensors


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "does not exist"), ("m.bin", "is a pickle"), ("m.safetensors", "weights only")]
)
def test_paths_that_are_no_model(tmp_path: Path, name: str, message: str) -> None:
    if name != "gone":
        (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / name)
