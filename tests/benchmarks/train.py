"""Training on a CPU: our loop beside Hugging Face's Trainer and one in the style of nanoGPT.

``make bench-train`` prints one table: tokens per second of a model of the same size on the same
rows, in fp32 on all cores, each loop with the micro-batch that suits it best. They take turns, so
that what else the machine does is everybody's. Ours and the Trainer's, unless it says "across
documents", compute the same, and must end with the same loss.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.utils import deterministic
from transformers import PreTrainedModel

from scripts.common.config.train import Architecture, Engine, Optimizer, Phase, Scheduling, Spikes
from scripts.train import model as models
from scripts.train.backends.start import start
from scripts.train.batches import Batches
from scripts.train.course import Clock as Tokens
from scripts.train.course import Course
from scripts.train.loop import Trainer
from scripts.train.prefetch import Prefetched
from scripts.train.progress import Progress
from scripts.train.ranks import ALONE
from scripts.train.state import RunFolder, TrainState
from scripts.train.tracking import Trackers
from tests.benchmarks import hugging_face, nanogpt, packed
from tests.benchmarks.clock import Clock

_VOCABULARY, _CONTEXT, _ROWS = 32_000, 1024, 4
_SHAPE = Architecture(hidden_size=384, intermediate_size=1024, layers=6, heads=6)
_SETTINGS, _LR = Optimizer(), 1e-3
_MICRO_ROWS = (1, 2, 4)
_SAME_LOSS = 1e-4  # relative: the Trainer decays embeddings too

Loop = Callable[[Batches, int, Clock], float]  # from batches and a micro-batch's rows to the loss


@dataclass(frozen=True)
class Measured:
    """A run: tokens per second, the same of processor time, and the mean loss [nats]."""

    speed: float
    processor_speed: float
    loss: float

    @classmethod
    def of(cls, loop: Loop, batches: Batches, micro_rows: int) -> "Measured":
        torch.compiler.reset()  # of the model before
        clock = Clock()
        loss = loop(batches, micro_rows, clock)
        tokens = _ROWS * _CONTEXT
        return cls(tokens / clock.seconds, tokens / clock.processor_seconds, loss)


class _Ticking(Progress):
    clock: Clock

    def step(self) -> None:
        super().step()
        self.clock.tick()


def ours(batches: Batches, micro_rows: int, clock: Clock) -> float:
    """Run the loop of ``scripts.train`` whole, as a phase does that is followed by no tracker."""
    course = Course.of(_phase(len(batches)), Tokens())
    model = _model()
    state = TrainState(start(model, _SETTINGS, torch.float32, Engine(), ALONE))
    trainer = Trainer(
        state,
        Prefetched(batches, pinned=False),
        course,
        Spikes(),
        z_loss=_SETTINGS.z_loss,
        micro_batch_tokens=micro_rows * _CONTEXT,
        name="phase",
    )
    progress = _Ticking("phase", state, course.plan, Trackers({}))
    progress.clock = clock
    checkpoint_tokens = Phase.model_fields["checkpoint_tokens"].default
    with _deterministic():
        trainer.run(RunFolder(Path(), "bench").save, checkpoint_tokens, progress)
    return statistics.mean(record["loss"] for record in state.metrics)


def trainer(
    batches: Batches, micro_rows: int, clock: Clock, *, apart: bool = True, compiled: bool = False
) -> float:
    """Run Hugging Face's Trainer, its attention within documents if they are ``apart``."""
    model = _model()
    model.set_attn_implementation("sdpa")
    return hugging_face.train(
        model,
        hugging_face.Rows([batches[step] for step in range(len(batches))], positions=apart),
        clock,
        micro_rows=micro_rows,
        accumulate=_ROWS // micro_rows,
        settings=_SETTINGS,
        lr=_LR,
        use_cpu=True,
        dataloader_pin_memory=False,
        torch_compile=compiled,
    )


def nano(batches: Batches, micro_rows: int, clock: Clock, *, compiled: bool = False) -> float:
    torch.manual_seed(0)
    shape = nanogpt.Shape(
        _VOCABULARY, _SHAPE.hidden_size, _SHAPE.intermediate_size, _SHAPE.layers, _SHAPE.heads,
        _CONTEXT,
    )  # fmt: skip
    model = nanogpt.Model(shape)
    if compiled:
        model.compile()
    return nanogpt.train(
        model,
        (batches[step] for step in range(len(batches))),
        clock,
        micro_rows=micro_rows,
        settings=_SETTINGS,
        lr=_LR,
    )


_TRAINER, _NANO = "Hugging Face Trainer", "nanoGPT's style, across documents"
LOOPS: dict[str, Loop] = {
    "ours": ours,
    _TRAINER: trainer,
    f"{_TRAINER}, compiled": partial(trainer, compiled=True),
    f"{_TRAINER}, across documents": partial(trainer, apart=False),
    _NANO: nano,
    f"{_NANO}, compiled": partial(nano, compiled=True),
}


def _model() -> PreTrainedModel:
    return models.create(_SHAPE, {"vocabulary": _VOCABULARY, "bos": 0, "eos": 1}, _CONTEXT, None)


def _phase(steps: int) -> Scheduling:
    return Scheduling(
        parent=None,
        tokens=steps * _ROWS * _CONTEXT,
        batch_tokens=_ROWS * _CONTEXT,
        context=_CONTEXT,
        lr=f"Constant({_LR})",
    )


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Compute as a phase does on a CPU: the same bits each time."""
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _best_micro_rows(loop: Loop, batches: Batches) -> int:
    speeds = {rows: Measured.of(loop, batches, rows).processor_speed for rows in _MICRO_ROWS}
    return max(speeds, key=speeds.__getitem__)


def _table(runs: dict[str, list[Measured]], micro_rows: dict[str, int]) -> str:
    """Return the medians as Markdown; a ratio is the median of those of one round each."""
    lines = [
        "| loop | micro-batch | tokens/s | per core second | ours, times its speed | loss |",
        "|" + "---|" * 6,
    ]
    for name, found in runs.items():
        pairs = zip(runs["ours"], found, strict=True)
        ratio = statistics.median(own.speed / other.speed for own, other in pairs)
        speed = statistics.median(one.speed for one in found)
        processor_speed = statistics.median(one.processor_speed for one in found)
        lines.append(
            f"| {name} | {micro_rows[name]} x {_CONTEXT} | {speed:,.0f} | {processor_speed:,.0f} "
            f"| {ratio:.2f}x | {found[0].loss:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=4, help="of a run; the first warms up")
    options.add_argument("--micro-rows", type=int, help="for all loops; else the best for each")
    arguments = options.parse_args()
    parameters = sum(parameter.numel() for parameter in _model().parameters())
    print(f"{parameters / 1e6:.1f}M parameters, {torch.get_num_threads()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        tokens = packed.write_tokens(_VOCABULARY)
        few = packed.batches(tokens, "few", _phase(2))
        batches = packed.batches(tokens, "all", _phase(arguments.steps))
        micro_rows = {
            name: arguments.micro_rows or _best_micro_rows(loop, few)
            for name, loop in LOOPS.items()
        }
        runs: dict[str, list[Measured]] = {name: [] for name in LOOPS}
        for _ in range(arguments.rounds):
            for name, loop in LOOPS.items():
                runs[name].append(Measured.of(loop, batches, micro_rows[name]))
    print(_table(runs, micro_rows))
    print(f"load {os.getloadavg()[0]:.2f}")
    first, second = runs["ours"][0].loss, runs[_TRAINER][0].loss
    assert abs(first - second) < _SAME_LOSS * first, f"losses differ: {first} and {second}"


if __name__ == "__main__":
    main()
