"""What a step loses to data, logging, checkpoints and held-out text, of a model of 10M parameters.

`python -m tests.benchmarks.overhead` trains a few steps with batches read when they are needed, and
as many with the next one read ahead, both with TensorBoard, a checkpoint and a measurement of
held-out text each; it prints the seconds, and what they come to at the defaults' intervals.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from scripts.common.config.tracking import Tracking
from scripts.common.config.train import Architecture, Optimizer, Phase, Scheduling, Spikes
from scripts.train import model as models
from scripts.train.backends.plain import PlainBackend
from scripts.train.batches import Batches
from scripts.train.course import Clock, Course
from scripts.train.heldout import HeldOut, packed
from scripts.train.loop import Trainer
from scripts.train.prefetch import Prefetched
from scripts.train.progress import Progress
from scripts.train.state import RunFolder, TrainState
from scripts.train.tracking import Run, Trackers
from tests.benchmarks.packed import batches, write_tokens

_VOCABULARY, _CONTEXT, _BATCH_TOKENS = 8192, 512, 4096
_SHAPE = Architecture(hidden_size=256, intermediate_size=704, layers=8, heads=4)
_HELDOUT_TOKENS = 65_536  # about 256 KB of one domain, the default


class _Sample(HeldOut):
    """As much held-out text as a phase measures by default, measured once."""

    def __init__(self) -> None:
        tokens = torch.randint(2, _VOCABULARY, (_HELDOUT_TOKENS // _CONTEXT, _CONTEXT))
        self.at_start = False
        self._every = 1 << 62
        self._bytes = {"text": 4 * _HELDOUT_TOKENS}
        self._batches = {"text": packed(tokens.tolist(), _CONTEXT)}


def spent(read: Batches | Prefetched, phase: Scheduling, name: str) -> tuple[float, dict]:
    """Train a phase of one checkpoint; return its seconds, and those lost by what to."""
    model = models.create(_SHAPE, {"vocabulary": _VOCABULARY, "bos": 0, "eos": 1}, _CONTEXT, None)
    state = TrainState(PlainBackend(model, Optimizer(), torch.float32))
    course = Course.of(phase, Clock())
    trainer = Trainer(
        state, read, course, Spikes(), z_loss=0.0, micro_batch_tokens=_BATCH_TOKENS, name=name,
        heldout=_Sample(),
    )  # fmt: skip
    trackers = Trackers.of(Tracking(), Run(name, name, 0, {}))
    save = RunFolder(Path("phases", name), "run").save
    start = time.monotonic()
    trainer.run(save, phase.tokens // 2, Progress(name, state, course.plan, trackers))
    seconds = time.monotonic() - start
    trackers.close()
    return seconds, dict(trainer.watch.seconds)


def table(seconds: float, lost: Mapping[str, float], steps: int) -> list[str]:
    """Return, by what it was lost to, the seconds and their share at the defaults' intervals."""
    defaults = {name: field.default for name, field in Phase.model_fields.items()}
    step = (seconds - sum(lost.values())) / steps
    each = {  # how many steps there are for one of it, and how often it was done
        "data": (1, steps),
        "logging": (1, steps),
        "checkpoints": (defaults["checkpoint_tokens"] / _BATCH_TOKENS, 1),
        "held-out text": (defaults["heldout_tokens"] / _BATCH_TOKENS, 1),
    }
    lines = [f"a step takes {step:.2f} s"]
    for what, (interval, times) in each.items():
        once = lost[what] / times
        lines.append(f"{what}: {once:.4f} s, {once / interval / step:.3%} of the time")
    return lines


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=16)
    steps = options.parse_args().steps
    phase = Scheduling(
        parent=None, tokens=steps * _BATCH_TOKENS, batch_tokens=_BATCH_TOKENS, context=_CONTEXT,
        lr="Constant(1e-3)",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        read = batches(write_tokens(_VOCABULARY), "overhead", phase)
        for name, used in (("when-needed", read), ("ahead", Prefetched(read, pinned=False))):
            print(f"batches read {name}:", *table(*spent(used, phase, name), steps), sep="\n  ")
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
