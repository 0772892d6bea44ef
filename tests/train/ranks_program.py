"""What each of several processes does in test_deepspeed.py; the first one writes what it saw.

`python -m torch.distributed.run ... ranks_program.py FOLDER` trains the same few steps by each
backend, straight through and resumed, and leaves `seen.json` and checkpoints in FOLDER.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import deterministic

from scripts.common.config.train import Architecture, Engine, Optimizer, Spikes
from scripts.train import model as models
from scripts.train.backends import Backend
from scripts.train.backends.start import start
from scripts.train.batches import Batch
from scripts.train.loop import Trainer
from scripts.train.loss import IGNORED
from scripts.train.processes import connected
from scripts.train.ranks import ALONE, Ranks
from scripts.train.state import TrainState

VOCABULARY, CONTEXT, STEPS, HALF = 41, 16, 6, 3
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PLACES = ("device", "offload")  # of moments and fp32 weights
CASES = [
    (zero, precision, place)
    for zero in (0, 1, 2, 3)
    for precision in PRECISIONS
    for place in PLACES[: 2 if zero else 1]
]


class Rising:
    """A learning rate by tokens, for a course."""

    def lr(self, tokens: float) -> float:
        return 1e-3 + 1e-5 * tokens


def batches() -> list[Batch]:
    """A ramp from fewer rows than processes on, of documents of 5 tokens and one that is long."""
    random = torch.Generator().manual_seed(0)
    made = []
    for step in range(STEPS):
        rows = 2 + step
        ids_BT = torch.randint(VOCABULARY, (rows, CONTEXT), generator=random)
        positions_BT = (torch.arange(CONTEXT) % 5).expand(rows, -1).clone()
        positions_BT[0] = torch.arange(CONTEXT)
        labels_BT = torch.where(positions_BT == 0, IGNORED, ids_BT)
        made.append(Batch(ids_BT, labels_BT, positions_BT))
    return made


def backend_of(zero: int, precision: str, place: str = "device", ranks: Ranks = ALONE) -> Backend:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False
    shape = Architecture(hidden_size=16, intermediate_size=24, layers=1, heads=2)
    counts = {"vocabulary": VOCABULARY, "bos": 0, "eos": 1}
    model = models.create(shape, counts, CONTEXT, None)
    settings = Optimizer(clip_norm=0.2, weight_decay=0.5, z_loss=1e-4)
    engine = Engine(processes=ranks.world, zero=zero, offload=place == "offload")
    return start(model, settings, PRECISIONS[precision], engine, ranks)


def trainer(state: TrainState, spikes: Spikes | None = None) -> Trainer:
    return Trainer(
        state,
        batches(),
        Rising(),
        spikes or Spikes(),
        z_loss=1e-4,
        micro_batch_tokens=2 * CONTEXT,
        name="test",
    )


def steps(state: TrainState, last: int, spikes: Spikes | None = None) -> list[dict[str, Any]]:
    taken = trainer(state, spikes)
    while state.step < last:
        taken.step()
    return state.metrics


def bits(backend: Backend) -> str:
    """A hash of all weights and moments."""
    return hashed([*backend.weights(), *backend.moments()])


def hashed(tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, value in tensors:
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def straight_and_resumed(
    make: Callable[[], Backend], folder: Path
) -> tuple[dict[str, Any], Backend]:
    """Save half-way and go on; resume from there with a new backend, which is returned too."""
    straight = TrainState(make())
    ranks = straight.backend.ranks
    begun = hashed(straight.backend.weights())
    steps(straight, HALF)
    folder.mkdir(parents=True, exist_ok=True)
    ranks.wait()
    straight.save(folder)
    ranks.wait()
    half = bits(straight.backend)
    measure(straight.backend)  # what the run that is resumed does not do
    steps(straight, STEPS)
    resumed = TrainState(make())
    resumed.restore(folder)
    restored = bits(resumed.backend)
    steps(resumed, STEPS)
    seen = {
        "begun": begun,
        "metrics": straight.metrics,
        "restored": restored == half,
        "resumed": resumed.metrics == straight.metrics
        and bits(resumed.backend) == bits(straight.backend),
        "frequencies": str(resumed.backend.model.base_model.rotary_emb.inv_freq.dtype),
    }
    return seen, resumed.backend


@torch.no_grad()
def measure(backend: Backend) -> None:
    """Compute losses as held-out text has them computed, which must leave no trace."""
    backend.model.eval()
    for micro in batches()[0].share(backend.ranks.rank, backend.ranks.world).split(2):
        backend.losses(micro, 0.0)
    backend.model.train()


def skipped(backend: Backend) -> dict[str, Any]:
    """Which of the steps are not taken by a rule that finds spikes often, and which change bits."""
    state = TrainState(backend)
    taken = trainer(state, Spikes(window=2, deviations=0.1, in_a_row=9))
    before, changed = bits(backend), []
    for _ in range(STEPS):
        taken.step()
        after = bits(backend)
        changed.append(before != after)
        before = after
    return {"skipped": ["skipped" in step for step in state.metrics], "changed": changed}


def not_finite(backend: Backend) -> dict[str, Any]:
    """A step whose gradient is infinite, and one after it that is not."""
    state = TrainState(backend)
    before = bits(backend)
    backward = backend.backward
    backend.backward = lambda loss: backward(loss * torch.inf)
    steps(state, 1)
    backend.backward = backward
    kept = before == bits(backend)
    steps(state, 2)
    return {
        "skipped": ["skipped" in step for step in state.metrics],
        "changed": [not kept, before != bits(backend)],
    }


def main() -> None:
    folder = Path(sys.argv[1])
    ranks = Ranks.of_launcher()
    seen = {}
    with connected(ranks):
        for zero, precision, place in CASES:
            make = functools.partial(backend_of, zero, precision, place, ranks)
            name = f"{zero}-{precision}-{place}"
            seen[name], backend = straight_and_resumed(make, folder / name)
            seen[name] |= {"spikes": skipped(backend), "not_finite": not_finite(backend)}
        if ranks.first:
            (folder / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
