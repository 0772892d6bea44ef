"""Training speed on one GPU: our step on packed documents, beside Hugging Face's Trainer.

``python -m tests.benchmarks.train_gpu`` prints one table; weights are random and data made up, as
neither changes the speed. MFU counts what the documents need (``scripts.train.cost``), whatever a
loop computes, against the data sheet's dense bf16 figure. A micro-batch is as large as is predicted
to fit; what was predicted stands beside what was allocated.
"""

import argparse
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from scripts.common.config.train import Engine, Optimizer
from scripts.train import attention
from scripts.train.backends.plain import PlainBackend
from scripts.train.batches import Batch
from scripts.train.blocks import prepare_blocks
from scripts.train.gpus import find
from scripts.train.loss import IGNORED
from scripts.train.memory import Load, predicted_bytes
from scripts.train.shape import shape_of
from tests.benchmarks import hugging_face
from tests.benchmarks.clock import Clock

_VOCABULARY = 100_352
_STEP_TOKENS = 196_608  # of one GPU: 4M tokens on 21 of them
_STEPS = 4  # the first warms up
_FITS = 0.93  # of the memory
_ENGINE = Engine()


@dataclass(frozen=True)
class Case:
    """A Llama-like model with heads of 128, and rows of documents up to ``longest`` tokens."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    context: int
    longest: int
    rows: int  # of a micro-batch, at most

    @property
    def config(self) -> LlamaConfig:
        heads = self.hidden // 128
        return LlamaConfig(
            vocab_size=_VOCABULARY, hidden_size=self.hidden, intermediate_size=self.intermediate,
            num_hidden_layers=self.layers, num_attention_heads=heads, num_key_value_heads=heads,
            max_position_embeddings=self.context, use_cache=False,
        )  # fmt: skip


CASES = (
    Case("1.5B, 4K packed", 2048, 8192, 16, 4096, 4096, 16),
    Case("1.5B, 32K rows, documents to 8K", 2048, 8192, 16, 32_768, 8192, 2),
    Case("1.5B, 32K whole rows", 2048, 8192, 16, 32_768, 32_768, 2),
    Case("3.3B, 4K packed", 3072, 8192, 24, 4096, 4096, 8),
)


def step_batches(case: Case) -> list[Batch]:
    """Return the micro-batches of one step."""
    count = max(1, _STEP_TOKENS // (case.rows * case.context))
    return [made_up_batch(case, seed) for seed in range(count)]


def made_up_batch(case: Case, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    positions_BT = torch.stack([_row(case, generator) for _ in range(case.rows)])
    ids_BT = torch.randint(_VOCABULARY, positions_BT.shape, generator=generator)
    return Batch(ids_BT, torch.where(positions_BT == 0, IGNORED, ids_BT), positions_BT).pinned()


def _row(case: Case, generator: torch.Generator) -> torch.Tensor:
    """Return the positions of a row's documents: log-normal lengths, or whole rows of 32K."""
    parts: list[torch.Tensor] = []
    left = case.context
    while left:
        length = case.longest
        if length <= 8192:
            drawn = torch.randn((), generator=generator) + torch.tensor(length / 4).log()
            length = int(drawn.exp().clamp(16, length))
        parts.append(torch.arange(min(length, left)))
        left -= len(parts[-1])
    return torch.cat(parts)


def in_float8(model: PreTrainedModel, batches: list[Batch]) -> float:
    """Return the seconds of a step of ours with FP8 products."""
    from scripts.train.float8 import use_float8

    use_float8(model, model.device)
    return ours(model, batches)


def ours(model: PreTrainedModel, batches: list[Batch]) -> float:
    """Return the seconds of a step."""
    model.set_attn_implementation(attention.NAME)
    prepare_blocks(model, _ENGINE.recompute, compiled=True)
    backend = PlainBackend(model, Optimizer(), torch.bfloat16)
    targets = sum(batch.targets for batch in batches)
    clock = Clock()
    for _ in range(_STEPS):
        for batch in batches:
            loss, _ = backend.losses(batch, 1e-5)
            backend.backward(loss / targets)
        backend.update(1e-4, lambda _norm: True)
        torch.cuda.synchronize()
        clock.tick()
    return clock.seconds


def trainer(model: PreTrainedModel, batches: list[Batch]) -> float:
    """Return the seconds of a step of Hugging Face's Trainer, across documents: its fastest way."""
    model.set_attn_implementation("sdpa")
    clock = Clock()
    hugging_face.train(
        model,
        hugging_face.Rows(batches * _STEPS, positions=False),
        clock,
        micro_rows=len(batches[0].input_ids_BT),
        accumulate=len(batches),
        settings=Optimizer(),
        lr=1e-4,
        bf16=True,
        torch_compile=True,
    )
    return clock.seconds


def row(case: Case, name: str, loop: Callable[[PreTrainedModel, list[Batch]], float]) -> str:
    """Measure one loop with the largest micro-batch that fits; return its line of the table."""
    torch.cuda.reset_peak_memory_stats()
    batches = step_batches(case)
    with torch.device("cuda"):
        model = LlamaForCausalLM(case.config)
    shape = shape_of(model)
    seconds = loop(model, batches)
    lengths = [
        length
        for batch in batches
        for length in attention.Documents.of(batch.position_ids_BT).lengths
    ]
    speed = sum(lengths) / seconds
    gpu = find(torch.cuda.get_device_name())
    mfu = shape.flops_per_token(lengths) * speed / gpu.flops if gpu else float("nan")
    predicted = predicted_bytes(
        shape, _ENGINE, "bf16", Load(case.rows * case.context, len(batches))
    ).allocated
    return (
        f"| {case.name} | {name} | {case.rows} x {case.context} "
        f"| {sum(length**2 for length in lengths) / sum(lengths):,.0f} | {speed:,.0f} "
        f"| {100 * mfu:.1f} % | {torch.cuda.max_memory_allocated() / 1e9:.1f} "
        f"| {predicted / 1e9:.1f} |"
    )


def fitted(case: Case) -> Case:
    """Return the case with as many rows at a time as are predicted to fit."""
    memory = torch.cuda.get_device_properties(0).total_memory
    with torch.device("meta"):
        shape = shape_of(LlamaForCausalLM(case.config))
    for rows in range(case.rows, 1, -1):
        load = Load(rows * case.context, micro_batches=2)
        if predicted_bytes(shape, _ENGINE, "bf16", load).total < _FITS * memory:
            return replace(case, rows=rows)
    return replace(case, rows=1)


def measured(case: Case, name: str, loop: Callable[[PreTrainedModel, list[Batch]], float]) -> str:
    """Do as ``row``, with half as many rows for as long as the memory does not suffice."""
    while True:
        torch.compiler.reset()
        try:
            return row(case, name, loop)
        except ImportError as error:  # the Trainer needs accelerate
            return f"| {case.name} | {name} | not measured: {error} | | | | | |"
        except torch.OutOfMemoryError:
            if case.rows == 1:
                return f"| {case.name} | {name} | out of memory | | | | | |"
            case = replace(case, rows=case.rows // 2)
        finally:
            gc.collect()
            torch.cuda.empty_cache()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--alone", action="store_true", help="without Hugging Face's Trainer")
    alone = options.parse_args().alone
    start = time.monotonic()
    print(torch.cuda.get_device_name(), torch.__version__)
    print(
        "| case | loop | micro-batch | l | tokens/s | MFU | GB allocated | predicted for ours |\n|"
        + "---|" * 8
    )
    for case in map(fitted, CASES):
        print(measured(case, "ours", ours), flush=True)
        if not alone:
            print(measured(case, "Hugging Face Trainer", trainer), flush=True)
    for case in (CASES[0], CASES[-1]):
        print(measured(fitted(case), "ours, FP8", in_float8), flush=True)
    torch.use_deterministic_algorithms(True)
    print(measured(fitted(CASES[0]), "ours, deterministic", ours), flush=True)
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
