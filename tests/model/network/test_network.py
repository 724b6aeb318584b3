"""The network against transformers, and rows against the rows beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from model.checkpoint.config import RopeScaling
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.network.decoder import Decoder, Rows
from model.network.linear import Precision, best_precision
from tests.model.real import real_gguf
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import MASK, tiny_checkpoint, tiny_tokenizer

BASE = {"rope_type": "default", "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "rope_theta": 50000.0, "factor": 2.0}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
GRANITE_SCALES = {
    "embedding_multiplier": 12.0, "attention_multiplier": 0.015625, "residual_multiplier": 0.22, "logits_scaling": 8.0,
}  # fmt: skip

MODELS: list[tuple[str, dict[str, Any]]] = [
    ("Llama", {}),
    ("Llama", {"tie_word_embeddings": True, "num_key_value_heads": 1, "rms_norm_eps": 1e-3}),
    ("Llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4, "head_dim": 16}),
    ("Llama", {"rope_parameters": LINEAR}),
    ("Llama", {"rope_parameters": LLAMA3}),
    ("Llama", {"rope_parameters": YARN}),
    ("Llama", {"rope_parameters": YARN | {"attention_factor": 1.25, "beta_fast": 16.0, "beta_slow": 2.0}}),
    ("Qwen2", {"tie_word_embeddings": True}),
    ("Qwen2", {"tie_word_embeddings": False, "num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 48}),
    ("Qwen2", {"rope_parameters": YARN}),
    ("Qwen3", {"head_dim": 16}),
    ("Granite", {}),
    ("Granite", GRANITE_SCALES),
    ("Granite", GRANITE_SCALES | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    ("Starcoder2", {}),
    ("Starcoder2", {"use_bias": False, "tie_word_embeddings": False, "norm_epsilon": 1e-3}),
    ("Starcoder2", {"sliding_window": 128, "num_key_value_heads": 4}),
    ("Qwen3", {"head_dim": 8, "attention_bias": True, "tie_word_embeddings": True, "rope_parameters": LINEAR}),
]


def random_model(directory: Path, kind: str, options: dict[str, Any]) -> Any:
    """Save a random model of `kind` with the tiny tokenizer, and return it."""
    vocab_size = tiny_tokenizer().get_vocab_size()
    base = {
        "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "rope_parameters": dict(BASE), "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**{**base, **options})
    torch.manual_seed(1)
    network = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases too, which start as ones and zeros
            parameter.normal_(0.0, 0.3)
    network.save_pretrained(directory)
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return network


def random_ids(count: int, vocab_size: int, seed: int = 0) -> Tensor:
    return torch.randint(0, vocab_size, (count,), generator=torch.Generator().manual_seed(seed))


def fed_in_slices(network: Decoder, ids: Tensor, slices: list[int]) -> Tensor:
    """Return all rows' logits [R, V], plain causal order, fed in slices of these sizes."""
    assert sum(slices) == len(ids)
    cache = network.new_cache(right_slots=0, left_slots=len(ids))
    logits, begin = [], 0
    for size in slices:
        end = begin + size
        found = network.forward(Rows(ids[begin:end], torch.arange(begin, end), begin, 0, end), cache, list(range(size)))
        assert found is not None
        logits.append(found)
        begin = end
    return torch.cat(logits)


@pytest.mark.parametrize(("kind", "options"), MODELS)
def test_logits_are_those_of_transformers(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    """At once, through the cache in slices, and one row at a time."""
    other = random_model(tmp_path, kind, options)
    network = Decoder(load_checkpoint(tmp_path), Precision.FLOAT32)
    ids = random_ids(100, network.config.vocab_size)
    with torch.inference_mode():
        expected = other(ids[None]).logits[0]
    for slices in ([100], [30, 1, 40, 29], [70, *[1] * 30]):
        torch.testing.assert_close(fed_in_slices(network, ids, slices), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "options"), [("Granite", GRANITE_SCALES), ("Starcoder2", {})])
@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
def test_scales_and_layer_norm_in_low_precision(
    tmp_path: Path, kind: str, options: dict[str, Any], precision: Precision
) -> None:
    """Factors are multiplied into weights before these are rounded, so that nothing is lost by them."""
    random_model(tmp_path, kind, options)
    checkpoint = load_checkpoint(tmp_path)
    ids = random_ids(60, checkpoint.config.vocab_size)
    exact = fed_in_slices(Decoder(checkpoint, Precision.FLOAT32), ids, [60])
    near = fed_in_slices(Decoder(checkpoint, precision), ids, [30, 30])
    assert float(torch.cosine_similarity(exact, near, dim=-1).min()) > 0.97


def test_only_the_logits_asked_for_are_returned() -> None:
    network = Decoder(tiny_checkpoint(), Precision.FLOAT32)
    ids = random_ids(10, network.config.vocab_size)
    rows = Rows(ids, torch.arange(10), 0, 0, 10)
    every = network.forward(rows, network.new_cache(0, 10), list(range(10)))
    some = network.forward(rows, network.new_cache(0, 10), [7, 2])
    assert every is not None
    assert some is not None
    torch.testing.assert_close(some, every[[7, 2]], atol=1e-5, rtol=1e-5)
    assert network.forward(rows, network.new_cache(0, 10)) is None


# -- position ids and visibility --------------------------------------------------------------


@pytest.mark.parametrize("base", [-4000, -5, 0, 7, 4000])
def test_only_distances_between_position_ids_matter(base: int) -> None:
    """RoPE is relative, so a chain at negative position ids is the same chain; up to float32 keys."""
    checkpoint = tiny_checkpoint()
    network = Decoder(checkpoint, Precision.FLOAT32)
    ids = random_ids(12, network.config.vocab_size)
    found = network.forward(
        Rows(ids, torch.arange(base, base + 12), 0, 0, 12), network.new_cache(0, 12), list(range(12))
    )
    torch.testing.assert_close(found, fed_in_slices(network, ids, [12]), atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(
    "changes",
    [{}, {"kv_heads": 1}, {"kv_heads": 4, "qkv_bias": True}, {"qk_norm": True, "tied_head": False}],
)
def test_any_visibility_and_order_of_position_ids(changes: dict[str, Any]) -> None:
    checkpoint = tiny_checkpoint(seed=2, **changes)
    network = Decoder(checkpoint, Precision.FLOAT32)
    generator = torch.Generator().manual_seed(3)
    ids = random_ids(24, network.config.vocab_size)
    position_ids = torch.randperm(24, generator=generator) - 12
    visible = (torch.rand(24, 24, generator=generator) < 0.4) | torch.eye(24, dtype=torch.bool)
    rows = Rows(ids, position_ids, 0, 0, 24, visible)
    found = network.forward(rows, network.new_cache(0, 24), list(range(24)))
    assert found is not None
    sees = [row.nonzero().flatten().tolist() for row in visible]
    expected = dense_logits(checkpoint, RowList(ids.tolist(), position_ids.tolist(), sees))
    torch.testing.assert_close(found.double(), expected, atol=1e-4 * max(1, float(expected.std())), rtol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
def test_negative_position_ids_under_every_rope_scaling(kind: str) -> None:
    checkpoint = tiny_checkpoint(rope_scaling=RopeScaling(kind, factor=4.0, original_context=16))
    network = Decoder(checkpoint, Precision.FLOAT32)
    ids = random_ids(12, network.config.vocab_size)
    found = network.forward(Rows(ids, torch.arange(-12, 0), 0, 0, 12), network.new_cache(0, 12), list(range(12)))
    torch.testing.assert_close(found, fed_in_slices(network, ids, [12]), atol=2e-4, rtol=2e-4)


# -- rows beside other rows -------------------------------------------------------------------

# In standard deviations of the logits. Float32 and bfloat16 may sum in another order when there are more
# rows: the last bits in float32; in bfloat16, which keeps 8 bits, a rounding that falls the other way moves
# what follows by 2**-8 of its size, a few times over. Int8 products are exact, but attention between them
# sums in float, and a last bit may push an activation to the next of its 255 levels. Quantised together
# with the outlier, every other row is off by more than 0.1.
TOLERANCES = {Precision.FLOAT32: 1e-4, Precision.BFLOAT16: 0.05, Precision.INT8: 0.03}


def with_outlier(checkpoint: Checkpoint, token_id: int) -> Checkpoint:
    """Return the model with one token whose activations are much larger than those of all others."""
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    tensors["embed_tokens.weight"][token_id] *= 300
    return replace(checkpoint, tensors=tensors)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("beside", [1, 3, 15, 31])
def test_a_row_does_not_depend_on_the_rows_beside_it(precision: Precision, beside: int) -> None:
    outlier = 50
    network = Decoder(with_outlier(tiny_checkpoint(tied_head=False), outlier), precision)
    ids = random_ids(20, 40) + 60
    prefix = Rows(ids, torch.arange(20), 0, 0, 20)

    def logits(token_ids: list[int]) -> Tensor:
        cache = network.new_cache(0, 64)
        network.forward(prefix, cache)
        count = len(token_ids)
        visible = torch.zeros(count, 20 + count, dtype=torch.bool)
        visible[:, :20] = True
        visible[:, 20:] = torch.eye(count, dtype=torch.bool)
        rows = Rows(torch.tensor(token_ids), torch.arange(20, 20 + count), 20, 0, 20 + count, visible)
        found = network.forward(rows, cache, [0])
        assert found is not None
        return found[0]

    alone = logits([100])
    together = logits([100, *[outlier] * beside])
    difference = (together - alone).abs().max() / alone.std()
    assert float(difference) < TOLERANCES[precision]


@pytest.mark.skipif(best_precision()[0] is not Precision.INT8, reason="this machine cannot add int8 exactly")
@pytest.mark.parametrize("context", [37, 185, 371, 1003, 1500, 3001])
@pytest.mark.parametrize("count", [5, 24])
def test_in_int8_rows_together_equal_rows_one_by_one_to_the_bit(context: int, count: int) -> None:
    """Of the default model's head size, with mask rows behind; a single different bit is amplified by every layer."""
    checkpoint = tiny_checkpoint(width=576, heads=9, kv_heads=3, head_dim=64, layers=6, scale=0.05)
    network = Decoder(checkpoint, Precision.INT8)
    ids = random_ids(context + count, 400)
    caches = [network.new_cache(0, context + 3 * count) for _ in range(2)]
    for cache in caches:
        network.forward(Rows(ids[:context], torch.arange(context), 0, 0, context), cache)
    slots = range(context, context + count)
    alone = [network.forward(Rows(ids[at : at + 1], torch.tensor([at]), at, 0, at + 1), caches[0], [0]) for at in slots]

    masks, end = 2 * count, context + 3 * count
    visible = torch.ones(3 * count, end, dtype=torch.bool).tril(context)
    visible[count:, context:] = torch.eye(3 * count, dtype=torch.bool)[count:]
    token_ids = torch.cat((ids[context:], torch.full((masks,), MASK)))
    position_ids = torch.cat((torch.arange(context, context + count), torch.arange(context + 1, context + 1 + masks)))
    together = network.forward(Rows(token_ids, position_ids, context, 0, end, visible), caches[1], list(range(count)))
    assert together is not None
    for row, one in enumerate(alone):
        assert one is not None
        assert torch.equal(together[row], one[0]), f"row {row}"


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
def test_low_precision_is_near_float32(precision: Precision) -> None:
    checkpoint = tiny_checkpoint()
    ids = random_ids(60, checkpoint.config.vocab_size)
    exact = fed_in_slices(Decoder(checkpoint, Precision.FLOAT32), ids, [60])
    near = fed_in_slices(Decoder(checkpoint, precision), ids, [30, 30])
    assert float(torch.cosine_similarity(exact, near, dim=-1).min()) > 0.97


# -- the real model ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gguf_file_has_the_logits_that_transformers_finds_in_it() -> None:
    path = real_gguf()
    network = Decoder(load_checkpoint(path), Precision.FLOAT32)
    ids = random_ids(40, network.config.vocab_size)
    found = fed_in_slices(network, ids, [20, 1, 19])
    other = transformers.LlamaForCausalLM(transformers.LlamaConfig(**load_gguf_checkpoint(path)["config"])).eval()
    tensors = load_gguf_checkpoint(path, return_tensors=True, model_to_load=other)["tensors"]
    other.load_state_dict(tensors, strict=False, assign=True)
    other.tie_weights()
    with torch.inference_mode():
        expected = other(ids[None]).logits[0]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
