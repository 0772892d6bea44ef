"""Training on several GPUs: each ZeRO stage beside one GPU alone, and runs that are resumed.

``python -m torch.distributed.run --standalone --nproc-per-node 2 -m tests.benchmarks.train_gpus``
prints three tables, or those that are named behind it: ``stages``, ``rows`` that processes share,
and ``resumed``. Weights are random and data made up, the same for all. Differences are relative,
the largest of a few steps, of losses and of gradient norms from those of one GPU by plain torch.
"""

import argparse
import gc
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from scripts.common.config.train import Engine, Optimizer, Spikes
from scripts.train import attention
from scripts.train.backends.start import start
from scripts.train.batches import Batch
from scripts.train.loop import Trainer
from scripts.train.memory import Load, predicted_bytes
from scripts.train.processes import connected
from scripts.train.ranks import Ranks
from scripts.train.shape import shape_of
from scripts.train.state import TrainState
from tests.benchmarks.clock import Clock
from tests.benchmarks.train_gpu import CASES, Case, made_up_batch
from tests.train.ranks_program import bits

STEPS = 5  # the first warms up
PACKED = replace(CASES[0], rows=32)  # of a step
LONG = replace(CASES[2], rows=4)
SMALL = Case("0.1B, 1K packed", 512, 1408, 4, 1024, 1024, 32)
STAGES = (
    Engine(zero=0),
    Engine(zero=1),
    Engine(zero=2),
    Engine(zero=3),
    Engine(zero=3, compile=False),
    Engine(zero=2, offload=True),
)


class Constant:
    """A learning rate, for a course."""

    def lr(self, tokens: float) -> float:
        return 1e-4


@dataclass(frozen=True)
class Measured:
    losses: list[float]
    norms: list[float]
    seconds: float  # of a step
    at_start: int  # bytes allocated at most, until the first step
    allocated: int  # from there on

    def difference(self, other: "Measured") -> str:
        pairs = ((self.losses, other.losses), (self.norms, other.norms))
        return " | ".join(
            f"{max(abs(a / b - 1) for a, b in zip(mine, its, strict=True)):.1e}"
            for mine, its in pairs
        )


def begun(case: Case, engine: Engine, ranks: Ranks) -> TrainState:
    torch.manual_seed(0)
    with ranks.device:
        model: PreTrainedModel = LlamaForCausalLM(case.config)
    model.set_attn_implementation(attention.NAME)
    model.cpu()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return TrainState(start(model, Optimizer(), torch.bfloat16, engine, ranks))


def trainer(state: TrainState, batches: list[Batch], engine: Engine) -> Trainer:
    return Trainer(
        state,
        batches,
        Constant(),
        Spikes(deviations=None),
        z_loss=1e-5,
        micro_batch_tokens=engine.micro_batch_tokens or 16_384,
        name="measured",
    )


def measured(case: Case, engine: Engine, ranks: Ranks) -> Measured:
    release()
    before = torch.cuda.memory_allocated()
    state = begun(case, engine, ranks)
    at_start = torch.cuda.max_memory_allocated() - before
    torch.cuda.reset_peak_memory_stats()
    steps = trainer(state, [made_up_batch(case, seed) for seed in range(STEPS)], engine)
    clock = Clock()
    for _ in range(STEPS):
        steps.step()
        torch.cuda.synchronize()
        clock.tick()
    losses, norms = ([step[key] for step in state.metrics] for key in ("loss", "grad_norm"))
    allocated = torch.cuda.max_memory_allocated() - before
    return Measured(losses, norms, clock.seconds, at_start, allocated)


def release() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def predicted(case: Case, engine: Engine, ranks: Ranks) -> int:
    with torch.device("meta"):
        shape = shape_of(LlamaForCausalLM(case.config))
    at_once = (engine.micro_batch_tokens or 16_384) * ranks.sequence
    rows = min(max(1, at_once // case.context), case.rows // ranks.groups)
    load = Load(
        rows * case.context // ranks.sequence, case.rows // ranks.groups // rows, ranks.world
    )
    return predicted_bytes(shape, engine, "bf16", load).allocated


def name(engine: Engine) -> str:
    """Say how ``engine`` differs from the default."""
    return ", ".join(
        f"{key} {value}" for key, value in engine.model_dump(exclude_defaults=True).items()
    )


def table(case: Case, alone: Engine, engines: tuple[Engine, ...], ranks: Ranks) -> None:
    """Print a line for one GPU, and one for each of ``engines`` on all."""
    one = Ranks(local=ranks.local)
    reference = measured(case, alone, one)
    say(
        f"\n{case.name}, steps of {case.rows} rows\n"
        "| engine | loss | norm | tokens/s of all | GB at the start | GB allocated | predicted |\n|"
        + "---|"
        * 7,
        ranks,
    )
    line("one GPU", case, alone, one, reference, reference, ranks)
    for engine in engines:
        chosen = engine.model_copy(update={"processes": ranks.world})
        sharing = ranks.sharing_rows(engine.sequence_ranks)
        try:
            found = measured(case, chosen, sharing)
        except Exception as error:  # tell it and measure the others
            say(f"| {name(engine)} | {type(error).__name__}: {str(error)[:600]} | | | | | |", ranks)
        else:
            line(name(engine), case, chosen, sharing, found, reference, ranks)


def line(
    called: str,
    case: Case,
    engine: Engine,
    ranks: Ranks,
    found: Measured,
    reference: Measured,
    speaker: Ranks,
) -> None:
    gigabytes = (found.at_start, found.allocated, predicted(case, engine, ranks))
    say(
        f"| {called} | {found.difference(reference)} "
        f"| {case.rows * case.context / found.seconds:,.0f} | "
        + " | ".join(f"{size / 1e9:.1f}" for size in gigabytes)
        + " |",
        speaker,
    )


def resumed(ranks: Ranks, folder: Path) -> None:
    """Print whether runs give the same bits again, resumed, and taken up by the next stage."""
    say("\n| engine | deterministic | again | resumed | loss | restored by the next |", ranks)
    say("|---|---|---|---|---|---|", ranks)
    engines = [one for one in STAGES if one.compile]
    for deterministic in (True, False):
        torch.use_deterministic_algorithms(deterministic)
        for place, engine in enumerate(engines):
            try:
                found = outcomes(engine, engines[(place + 1) % len(engines)], ranks, folder)
            except Exception as error:
                found = f"{type(error).__name__}: {str(error)[:600]}"
            say(f"| {name(engine)} | {deterministic} | {found} |", ranks)


def outcomes(engine: Engine, following: Engine, ranks: Ranks, folder: Path) -> str:
    batches = [made_up_batch(SMALL, seed) for seed in range(8)]
    half = len(batches) // 2
    engine, following = (
        one.model_copy(update={"processes": ranks.world}) for one in (engine, following)
    )

    def run(until: int, chosen: Engine = engine, *, restore: bool = False) -> TrainState:
        release()
        state = begun(SMALL, chosen, ranks)
        if restore:
            state.restore(folder)
        steps = trainer(state, batches, chosen)
        while state.step < until:
            steps.step()
        return state

    if ranks.first:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    ranks.wait()
    saved = run(half)
    saved.save(folder)
    ranks.wait()
    kept = bits(saved.backend)
    straight, again = run(len(batches)), run(len(batches))
    same = bits(straight.backend) == bits(again.backend)
    del saved, again
    on = run(len(batches), restore=True)
    as_straight = bits(on.backend) == bits(straight.backend)
    worst = max(
        abs(a["loss"] / b["loss"] - 1) for a, b in zip(on.metrics, straight.metrics, strict=True)
    )
    del on
    taken_up = bits(run(half, following, restore=True).backend) == kept
    return f"{same} | {as_straight} | {worst:.1e} | {taken_up}"


def say(text: str, ranks: Ranks) -> None:
    if ranks.first:
        print(text, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", default=["stages", "rows", "resumed"])
    parts = options.parse_args().parts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    logging.disable(logging.WARNING)
    ranks = Ranks.of_launcher()
    folder = Path(tempfile.gettempdir()) / f"train_gpus-{os.environ['TORCHELASTIC_RUN_ID']}"
    with connected(ranks):
        say(f"{ranks.world} x {torch.cuda.get_device_name()}, torch {torch.__version__}", ranks)
        if "stages" in parts:
            table(PACKED, Engine(), STAGES, ranks)
        if "rows" in parts:
            alone = Engine(recompute="cheap", micro_batch_tokens=32_768)
            shared = [
                Engine(
                    zero=zero, sequence_ranks=2, processes=ranks.world, recompute="cheap",
                    micro_batch_tokens=16_384,
                )
                for zero in (1, 3)
            ]  # fmt: skip
            table(LONG, alone, tuple(shared), ranks)
        if "resumed" in parts:
            resumed(ranks, folder)
    if ranks.first:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
