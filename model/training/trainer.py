"""The training step: forward and backward over the micro-batches of an update, then AdamW.

Knows network, batches and optimiser; knows no files and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.checkpoint.config import ModelConfig
from model.training.batches import MicroBatch, UpdateBatch
from model.training.config import OptimiserConfig, RunConfig
from model.training.loss import head_chunk, head_loss
from model.training.measures import Measures
from model.training.network import AttentionMask, TrainerNetwork
from model.training.visibility import block_mask, dense_mask, masked_rows


@dataclass(frozen=True)
class Machine:
    """What a run computes on."""

    device: torch.device
    compute_dtype: torch.dtype
    attention: str  # flex, dense or rows
    compile: bool

    @classmethod
    def of(cls, run: RunConfig) -> Machine:
        """Return what `run` asks for: on a GPU bfloat16, FlexAttention and torch.compile, on a CPU plain float32."""
        on_gpu = torch.cuda.is_available() if run.device == "auto" else run.device == "cuda"
        usual = ("flex" if run.compile else "dense") if on_gpu else "rows"
        attention = run.attention if run.attention != "auto" else usual
        dtype_name = run.compute_dtype if run.compute_dtype != "auto" else ("bfloat16" if on_gpu else "float32")
        return cls(
            torch.device("cuda" if on_gpu else "cpu"), getattr(torch, dtype_name), attention, on_gpu and run.compile
        )


class Trainer:
    """A network under training and its optimiser."""

    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, Tensor],
        optimiser: OptimiserConfig,
        machine: Machine,
        head_chunk_rows: int,
        special_rows: Sequence[int] = (),
    ) -> None:
        """`special_rows` are the embeddings that learn at `special_rate` times the rate: they begin with nothing."""
        self.machine, self.settings, self.head_chunk_rows = machine, optimiser, head_chunk_rows
        self._special_rows = list(special_rows)
        self.network = TrainerNetwork(config, tensors, machine.compute_dtype).to(machine.device)
        self.optimiser = _adamw(self.network, optimiser)
        self._chunk = head_chunk
        if machine.compile:
            torch.set_float32_matmul_precision("high")
            self.network.compile_layers()
            self._chunk = torch.compile(head_chunk, dynamic=False)

    def update(self, batch: UpdateBatch, rate: float) -> Measures:
        """Take one optimiser step on `batch` at learning rate `rate`; return what was measured before it."""
        measures = Measures(self.machine.device)
        for part in batch.parts:
            loss = self.loss(part.to(self.machine.device), measures)
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._step()
        self.optimiser.zero_grad(set_to_none=True)
        measures.gradient_norm = norm
        return measures

    def _step(self) -> None:
        embeddings = self.network.embed_tokens.weight.detach()
        before = embeddings[self._special_rows]
        self.optimiser.step()
        embeddings[self._special_rows] += (self.settings.special_rate - 1) * (embeddings[self._special_rows] - before)

    def loss(self, part: MicroBatch, measures: Measures | None = None) -> Tensor:
        """Return the weighted loss of a micro-batch on the device, adding its rows to `measures`."""
        hidden = self.network(part.token_ids, part.position_ids, self.mask(part))
        wanted = hidden.flatten(0, 1).index_select(0, part.target_rows)  # [N, T]
        loss, row_losses, tops = head_loss(
            wanted, self.network.head_weight, part.targets, part.weights, self.head_chunk_rows, self._chunk
        )
        if measures is not None:
            measures.add(part, loss.detach(), row_losses, tops)
        return loss

    def mask(self, part: MicroBatch) -> AttentionMask:
        """Return the attention mask of a micro-batch in the form that this machine takes."""
        if self.machine.attention == "flex":
            return block_mask(part.sees)
        if self.machine.attention == "rows":
            return masked_rows(part.sees, self.machine.compute_dtype)
        return dense_mask(part.sees)

    def state(self) -> dict[str, Tensor]:
        """Return all that the next update depends on, by name: weights and AdamW's moments."""
        tensors = {}
        for name, weight in self.network.named_parameters():
            tensors[f"weight/{name}"] = weight.detach()
            for moment, value in self.optimiser.state.get(weight, {}).items():
                tensors[f"{moment}/{name}"] = value.detach()
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        with torch.no_grad():
            for name, weight in self.network.named_parameters():
                weight.copy_(tensors[f"weight/{name}"])
                moments = {key.partition("/")[0]: key for key in tensors if key.partition("/")[2] == name}
                del moments["weight"]
                self.optimiser.state[weight] = {
                    moment: tensors[key].to(weight.device) for moment, key in moments.items()
                }

    def flops(self, batch: UpdateBatch) -> float:
        """Return the floating-point operations of an update: six per weight and row, twelve per pair and feature."""
        config = self.network.config
        matrices = sum(p.numel() for n, p in self.network.layers.named_parameters() if p.dim() == 2)
        head = self.network.head_weight.numel()
        pairs = 12 * batch.pairs * config.layers * config.heads * config.head_dim
        return 6.0 * matrices * batch.rows + 6.0 * head * batch.targets + pairs


def _adamw(network: TrainerNetwork, settings: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) with weight decay on the layers' matrices only."""
    decayed = [p for n, p in network.named_parameters() if n.startswith("layers.") and p.dim() == 2]
    others = [p for n, p in network.named_parameters() if not (n.startswith("layers.") and p.dim() == 2)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.peak_rate, betas=betas, eps=settings.epsilon, fused=True)
