"""Checkpoints against the libraries that wrote them: transformers, and the `gguf` package."""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer
from transformers.integrations.gguf.dequant import dequantize as reference_dequantize
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from model import store
from model.checkpoint.config import Capabilities, ModelConfig, RopeScaling
from model.checkpoint.description import verify_files
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import save_checkpoint
from model.checkpoint.record import Checkpoint, expected_shapes
from model.errors import CheckpointError
from tests.model.checkpoint_files import ROPE_DEFAULT, quantised, save_huggingface, write_gguf
from tests.model.real import real_gguf
from tests.model.tiny import SPECIAL_TOKENS, tiny_checkpoint, tiny_tokenizer

CODE = "def f(x):\n\tif x == 1234:\n        return 'naïve 😊'  # it's <filename> <|endoftext|>\r\n\n\n    12.5e3  \n"
ROPE_LINEAR = {"rope_type": "linear", "rope_theta": 50000.0, "factor": 2.0}
ROPE_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
ROPE_YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}


# Hugging Face directories


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
    ],
)
def test_huggingface_directory(tmp_path: Path, kind: str, options: dict, expected: dict) -> None:
    network = save_huggingface(tmp_path, kind, **options)
    checkpoint = load_checkpoint(tmp_path)
    expected = {"width": 32, "layers": 2, "heads": 4, "ffn_width": 48, "context_length": 512} | expected
    assert {name: getattr(checkpoint.config, name) for name in expected} == expected
    weights = {name.removeprefix("model."): tensor for name, tensor in network.state_dict().items()}
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


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_weights(path: Path, change: Callable[[dict], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file({name: tensor.clone() for name, tensor in weights.items()}, path)


def truncate(path: Path, keep: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


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


# GGUF files


WIDE = {"width": 256, "heads": 4, "kv_heads": 2, "head_dim": 64, "ffn_width": 256, "layers": 1}


FLOAT_KINDS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COARSEST = {"Q8_0": 0.02, "Q5_1": 0.05, "Q5_0": 0.1, "Q4_1": 0.1, "Q4_0": 0.2}  # of a step, for weights below 1.5
UNKNOWN_TO_REFERENCE = ("Q5_0", "Q5_1")
K_KINDS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


@pytest.mark.parametrize("quantisation", [*FLOAT_KINDS, *COARSEST, *K_KINDS])
def test_gguf_quantisations(tmp_path: Path, quantisation: str) -> None:
    """The reference dequantises in transformers' own code, of which ours (the gguf package's) is independent."""
    checkpoint = tiny_checkpoint(infill=False, **WIDE)
    write_gguf(tmp_path / "m.gguf", checkpoint, quantisation)
    loaded = load_checkpoint(tmp_path / "m.gguf")
    kind = gguf.GGMLQuantizationType[quantisation]
    for name, original in checkpoint.tensors.items():
        tensor = loaded.tensors[name]
        assert (tensor.dtype, tensor.shape) == (torch.float32, original.shape)
        if original.dim() == 1:
            assert torch.equal(tensor, original), name
        elif quantisation in FLOAT_KINDS:
            assert torch.equal(tensor, original.to(FLOAT_KINDS[quantisation]).float()), name
        elif quantisation not in UNKNOWN_TO_REFERENCE and "q_proj" not in name and "k_proj" not in name:
            # (The rows of q and k are in another order in the file.)
            blocks = torch.from_numpy(quantised(original.numpy(), kind))
            assert torch.allclose(tensor, reference_dequantize(blocks, int(kind)).reshape(original.shape)), name
        if quantisation in COARSEST:
            assert (tensor - original).abs().max() < COARSEST[quantisation] * original.abs().max(), name


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "llama", "tied_head": False, "qkv_bias": True},
        {"architecture": "qwen2", "qkv_bias": True, "context_length": 77},
        {"architecture": "qwen3", "qk_norm": True, "head_dim": 32},
        {"rope_base": 1e6, "norm_eps": 1e-6},
    ],
)
def test_gguf_architectures(tmp_path: Path, changes: dict) -> None:
    checkpoint = tiny_checkpoint(infill=False, **changes)
    write_gguf(tmp_path / "m.gguf", checkpoint)
    loaded = load_checkpoint(tmp_path / "m.gguf")
    assert replace(loaded.config, norm_eps=checkpoint.config.norm_eps) == checkpoint.config
    assert loaded.config.norm_eps == pytest.approx(checkpoint.config.norm_eps)
    assert set(loaded.tensors) == set(checkpoint.tensors)
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in checkpoint.tensors.items())
    assert loaded.capabilities.window == checkpoint.config.context_length
    assert loaded.name == "m"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"type": "none"}, None),
        ({"type": "linear"}, None),
        ({"factor": 4.0}, RopeScaling("linear", 4.0)),
        ({"type": "linear", "factor": 4.0}, RopeScaling("linear", 4.0)),
        ({"type": "yarn", "factor": 2.0, "original_context_length": 64}, RopeScaling("yarn", 2.0, 64)),
    ],
)
def test_gguf_rope_scaling(tmp_path: Path, metadata: dict, expected: RopeScaling | None) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_checkpoint(), **{f"llama.rope.scaling.{k}": v for k, v in metadata.items()})
    assert load_checkpoint(tmp_path / "m.gguf").config.rope_scaling == expected


def test_gguf_llama3_scaling_is_recovered_from_its_divisors(tmp_path: Path) -> None:
    """Llama 3.2's numbers: llama.cpp stores only by what each frequency is divided."""
    rope = ROPE_LLAMA3 | {"factor": 32.0, "original_max_position_embeddings": 8192}
    config = transformers.LlamaConfig(
        hidden_size=256, num_attention_heads=4, max_position_embeddings=131072, rope_parameters=rope
    )
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 500000.0 ** (-torch.arange(0, 64, 2) / 64)
    checkpoint = tiny_checkpoint(**WIDE, rope_base=500000.0)
    tensors = dict(checkpoint.tensors) | {"rope_freqs.weight": plain / scaled}
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    assert load_checkpoint(tmp_path / "m.gguf").config.rope_scaling == RopeScaling("llama3", 32.0, 8192, 1.0, 4.0)
    tensors["rope_freqs.weight"] = torch.linspace(1, 32, 32)
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    with pytest.raises(CheckpointError, match="not Llama 3's scaling"):
        load_checkpoint(tmp_path / "m.gguf")


def with_tensors(checkpoint: Checkpoint, tensors: dict) -> Checkpoint:
    return replace(checkpoint, tensors=tensors)


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_gguf_tokenizer(tmp_path: Path, pre: str) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(path, tiny_checkpoint(), pre=pre)
    ours, theirs = load_checkpoint(path).tokenizer, reference_tokenizer(path, pre)
    for text in (CODE, Path(__file__).read_text(), "a1b22 333\n\n\t 4444 's 'S I'LL ½ ²\u3000x\u00a0y"):
        assert ours.encode(text).ids == theirs.encode(text, add_special_tokens=False).ids
        assert ours.decode(ours.encode(text).ids) == text


def reference_tokenizer(path: Path, pre: str) -> Tokenizer:
    """Return the tokenizer that transformers makes of a GGUF file.

    transformers knows no `smollm` and takes GPT-2's splits for it, so "  1" comes out
    otherwise than from SmolLM2's own tokenizer.json, which splits digits first; that is put right here.
    """
    architecture, data, _ = get_gguf_tokenizer(str(path))
    tokenizer, _ = convert_gguf_tokenizer(architecture, data)
    tokenizer.encode_special_tokens = True
    if pre == "smollm":
        published = {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        }
        tokenizer = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"pre_tokenizer": published}))
        tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"general.architecture": "gemma"}, "architecture 'gemma' is not supported"),
        ({"llama.expert_count": 8}, "mixture-of-experts"),
        ({"llama.block_count": None}, "lacks the metadata key llama.block_count"),
        ({"llama.attention.head_count": [4, 4]}, "list"),
        ({"llama.attention.head_count": 0}, "m.gguf.*modulo by zero"),
        ({"llama.attention.head_count_kv": 3}, "do not divide"),
        ({"llama.attention.value_length": 8}, "value_length differs"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count differs"),
        ({"llama.rope.scaling.type": "longrope"}, "'longrope' is not supported"),
        ({"llama.rope.scaling.type": "yarn"}, "lacks the metadata key llama.rope.scaling.factor"),
        ({"llama.rope.scaling.type": "yarn", "llama.rope.scaling.attn_factor": 0.5}, "attn_factor is not supported"),
        ({"llama.embedding_length": 44}, "has shape"),
        ({"llama.block_count": 3}, "tensor layers.2.*is missing"),
        ({"split.count": 2}, "llama-gguf-split --merge"),
        ({"tokenizer.ggml.model": "llama"}, "only byte-level BPE"),
        ({"tokenizer.ggml.pre": "gpt-4o"}, "pre-tokenizer 'gpt-4o' is not supported"),
        ({"tokenizer.ggml.tokens": None}, "lacks the metadata key tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.merges": ["a b c"]}, "do not fit together"),
        ({"tokenizer.ggml.merges": ["qq zz"]}, "do not fit together"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "do not fit together"),
    ],
)
def test_unsupported_gguf(tmp_path: Path, metadata: dict, message: str) -> None:
    checkpoint = tiny_checkpoint()
    write_gguf(tmp_path / "m.gguf", checkpoint, **metadata)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "m.gguf")


def test_gguf_with_unknown_tensors(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "q.gguf", "llama")
    checkpoint = tiny_checkpoint(**WIDE)
    write_gguf(tmp_path / "m.gguf", checkpoint, "IQ4_XS")
    with pytest.raises(CheckpointError, match="quantised as IQ4_XS; supported are"):
        load_checkpoint(tmp_path / "m.gguf")
    writer.close()
    tensors = dict(checkpoint.tensors) | {"strange.weight": torch.zeros(4)}
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    with pytest.raises(CheckpointError, match=r"strange.weight does not belong"):
        load_checkpoint(tmp_path / "m.gguf")


@pytest.fixture(scope="module")
def gguf_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_gguf(path, tiny_checkpoint(layers=1))
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_corrupt_gguf_is_an_error_of_ours_or_loads(tmp_path: Path, gguf_bytes: bytes, data: st.DataObject) -> None:
    """Cut off anywhere, or with bytes changed in what describes the file."""
    content = bytearray(gguf_bytes[: data.draw(st.integers(0, len(gguf_bytes)), "cut")])
    for _ in range(data.draw(st.integers(0, 3), "changes")):
        if content:
            content[data.draw(st.integers(0, min(len(content), 2000) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017 (it may load as well)
    else:
        assert checkpoint.float_tensor("norm.weight").dtype == torch.float32


# Our own directories


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


# The real model


@pytest.mark.slow
def test_real_gguf_against_transformers() -> None:
    path = real_gguf()
    described = transformers.LlamaConfig(**load_gguf_checkpoint(path)["config"])
    with torch.device("meta"):  # it only needs the names in the network
        network = transformers.LlamaForCausalLM(described)
    expected = load_gguf_checkpoint(path, return_tensors=True, model_to_load=network)["tensors"]
    checkpoint = load_checkpoint(path)
    for name in checkpoint.tensors:
        assert (checkpoint.tensors[name] - expected[f"model.{name}"]).abs().max() < 1e-3, name
    assert checkpoint.config == ModelConfig(
        "llama", 30, 576, 9, 3, 64, 1536, 49152, rope_base=100000.0, norm_eps=checkpoint.config.norm_eps
    )
    assert described.rope_parameters["rope_theta"] == 100000.0
    assert checkpoint.config.norm_eps == pytest.approx(described.rms_norm_eps)
    assert checkpoint.capabilities == Capabilities(sink_id=0, filename_id=6, window=8192)


@pytest.mark.slow
def test_real_token_ids_over_the_standard_library() -> None:
    """Every file, against transformers' vocabulary and merges with SmolLM2's splits; and the text comes back."""
    ours, theirs = load_checkpoint(real_gguf()).tokenizer, reference_tokenizer(real_gguf(), "smollm")
    compared = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        ids = ours.encode(text).ids
        assert ids == theirs.encode(text, add_special_tokens=False).ids, path
        compared += 1
    assert compared > 500


@pytest.mark.slow
def test_a_fetched_base_equals_its_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path))
    installed = load_checkpoint(store.fetch(store.BASE_MODEL, source=real_gguf()).path)
    source = load_checkpoint(real_gguf())
    assert source.tensors
    assert all(torch.equal(installed.tensors[name], source.tensors[name]) for name in source.tensors)
