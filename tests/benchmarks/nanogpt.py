"""A training loop in the style of nanoGPT, for a model with the matrices of a Llama.

As plain as its example: one file, fused projections, causal attention over the whole row, whatever
documents are in it, and cross-entropy of all logits at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.common.config.train import Optimizer
from scripts.train.batches import Batch
from tests.benchmarks.clock import Clock


@dataclass(frozen=True)
class Shape:
    """A model's sizes; as many key and value heads as query heads, and an untied head."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    context: int


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.hidden, 3 * shape.hidden, bias=False)
        self.out = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        batch, length, _ = x_BTD.shape
        qkv = self.qkv(x_BTD).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q_BHTK, k_BHTK, v_BHTK = qkv.unbind()
        q_BHTK, k_BHTK = (rotate(x, cos_TK, sin_TK) for x in (q_BHTK, k_BHTK))
        y_BHTK = functional.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)
        return self.out(y_BHTK.transpose(1, 2).reshape(x_BTD.shape))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.attention = Attention(shape)
        self.mlp_norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.intermediate, bias=False)
        self.down = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos_TK, sin_TK)
        gate_BTF, up_BTF = self.gate_up(self.mlp_norm(x_BTD)).chunk(2, dim=-1)
        return x_BTD + self.down(functional.silu(gate_BTF) * up_BTF)


class Model(nn.Module):
    cos_TK: Tensor
    sin_TK: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)
        size = shape.hidden // shape.heads
        frequencies = 10_000.0 ** -(torch.arange(0, size, 2) / size)
        angles_TK = torch.outer(torch.arange(shape.context), frequencies).repeat(1, 2)
        self.register_buffer("cos_TK", angles_TK.cos(), persistent=False)
        self.register_buffer("sin_TK", angles_TK.sin(), persistent=False)
        self.apply(_initialize)

    def forward(self, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Return the mean cross-entropy [nats]."""
        x_BTD = self.embedding(ids_BT)
        length = ids_BT.shape[1]
        for block in self.blocks:
            x_BTD = block(x_BTD, self.cos_TK[:length], self.sin_TK[:length])
        logits_BTV = self.head(self.norm(x_BTD))
        return functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())


def rotate(x_BHTK: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Apply RoPE, the halves of a head as pairs."""
    left, right = x_BHTK.chunk(2, dim=-1)
    return x_BHTK * cos_TK + torch.cat([-right, left], -1) * sin_TK


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def train(
    model: Model,
    batches: Iterable[Batch],
    clock: Clock,
    *,
    micro_rows: int,
    settings: Optimizer,
    lr: float,
) -> float:
    """Take a step for each of ``batches``; return their mean loss [nats]."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    losses = []
    for batch in batches:
        micros = batch.split(micro_rows)
        for micro in micros:
            ids_BT = micro.input_ids_BT
            loss = model(ids_BT[:, :-1], ids_BT[:, 1:]) / len(micros)
            loss.backward()
            losses.append(loss.item() * len(micros))
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock.tick()
    return sum(losses) / len(losses)
