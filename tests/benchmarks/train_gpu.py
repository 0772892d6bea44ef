"""Training speed on one GPU: tokens per second and MFU of our loop's step on packed documents.

``python -m tests.benchmarks.train_gpu`` prints one table; weights are random and data made up, as
neither changes the speed. FLOPs are counted by what the documents need: 6 N_mm + 6 L h d l per
token, with N_mm the matrices' parameters, the head's included, and l = sum(l^2) / sum(l) over the
documents' lengths; MFU is against the vendor's dense bf16 figure.
"""

import argparse
import time
from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.common.config.train import Optimizer
from scripts.train import attention
from scripts.train.batches import Batch
from scripts.train.loop import adamw, token_losses

_PEAK_FLOPS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12, "NVIDIA A100": 312e12}
_VOCABULARY = 100_352


@dataclass(frozen=True)
class Case:
    name: str
    hidden: int
    layers: int
    heads: int
    groups: int
    intermediate: int
    context: int
    rows: int  # of a micro-batch
    longest: int  # document


CASES = (
    Case("1.2B, 4K packed", 2048, 16, 16, 16, 8192, 4096, 4, 4096),
    Case("1.2B, 32K rows, documents to 8K", 2048, 16, 16, 16, 8192, 32_768, 1, 8192),
    Case("1.2B, 32K whole rows", 2048, 16, 16, 16, 8192, 32_768, 1, 32_768),
)


def documents(case: Case, seed: int) -> torch.Tensor:
    """Return positions (B, T): lengths are log-normal to the case's longest, or whole rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(case.rows):
        positions: list[torch.Tensor] = []
        left = case.context
        while left:
            length = case.longest
            if case.longest < case.context or case.context == 4096:
                drawn = torch.randn((), generator=generator) + torch.tensor(float(length / 4)).log()
                length = int(drawn.exp().clamp(16, case.longest))
            length = min(length, left)
            positions.append(torch.arange(length))
            left -= length
        rows.append(torch.cat(positions))
    return torch.stack(rows)


def measure(case: Case, steps: int, accumulate: int) -> None:
    config = LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=case.hidden, intermediate_size=case.intermediate,
        num_hidden_layers=case.layers, num_attention_heads=case.heads,
        num_key_value_heads=case.groups, max_position_embeddings=case.context, use_cache=False,
    )  # fmt: skip
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    model.set_attn_implementation(attention.NAME)
    for layer in model.model.layers:
        layer.compile()
    optimizer = adamw(model, Optimizer())
    batches = []
    for seed in range(accumulate):
        positions_BT = documents(case, seed)
        ids_BT = torch.randint(_VOCABULARY, positions_BT.shape)
        batches.append(Batch(ids_BT, torch.where(positions_BT == 0, -100, ids_BT), positions_BT))
    lengths = torch.cat(
        [
            torch.tensor(attention.Documents.of(b.position_ids_BT).lengths, dtype=torch.float64)
            for b in batches
        ]
    )

    def step() -> None:
        for batch in batches:
            loss, _ = token_losses(model, batch, 1e-5)
            (loss / 1e4).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(2):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / steps
    tokens = case.rows * case.context * accumulate
    matrices = sum(
        p.numel() for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n
    )
    mean_square = float((lengths**2).sum() / lengths.sum())
    flops = 6 * matrices + 6 * case.layers * case.hidden * mean_square
    peak = _PEAK_FLOPS.get(torch.cuda.get_device_name(), 989e12)
    total = sum(p.numel() for p in model.parameters())
    print(
        f"| {case.name} | {total / 1e9:.2f}B | {mean_square:,.0f} | {tokens / seconds:,.0f} "
        f"| {100 * flops * tokens / seconds / peak:.1f} % | {seconds:.2f} "
        f"| {torch.cuda.max_memory_allocated() / 2**30:.1f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--accumulate", type=int, default=4)
    arguments = parser.parse_args()
    print(torch.cuda.get_device_name(), torch.__version__)
    print("| case | parameters | l | tokens/s | MFU | s/step | GiB |\n|" + "---|" * 7)
    for case in CASES:
        torch.cuda.reset_peak_memory_stats()
        measure(case, arguments.steps, arguments.accumulate)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
