"""Every ZeRO stage on three processes against plain torch on one, and against itself resumed."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.train.state import SavedTensors, TrainState
from tests.train.launch import PROGRAMS, launched
from tests.train.ranks_program import (
    CASES,
    HALF,
    PRECISIONS,
    STEPS,
    backend_of,
    hashed,
    skipped,
    steps,
)

Metrics = list[dict[str, Any]]

PROCESSES = min(3, torch.cuda.device_count()) or 3  # a GPU each, where there are any
NAMES = [f"{zero}-{precision}-{place}" for zero, precision, place in CASES]
# Relative: of the loss, and of the gradient's norm. Sums are in another order, and in bf16 three
# processes' gradients are rounded after they were made three times as large.
ROUNDING = {"fp32": (1e-6, 2e-6), "bf16": (1e-4, 1e-2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ranks")
    done = launched(PROCESSES, str(PROGRAMS / "ranks_program.py"), str(made))
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return seen


@pytest.fixture(scope="module")
def alone() -> dict[str, Metrics]:
    return {one: steps(TrainState(backend_of(0, one)), STEPS) for one in PRECISIONS}


def differences(one: Metrics, other: Metrics) -> tuple[float, float]:
    """The largest relative differences of losses and of norms."""
    loss, norm = (
        max(abs(x[key] / y[key] - 1) for x, y in zip(one, other, strict=True))
        for key in ("loss", "grad_norm")
    )
    return loss, norm


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_those_of_plain_torch(
    name: str, seen: dict[str, Any], alone: dict[str, Metrics]
) -> None:
    """Over a ramp whose batches do not divide by three, with clipping and weight decay."""
    precision = name.split("-")[1]
    assert seen[name]["begun"] == hashed(backend_of(0, precision).weights())
    assert all(step["grad_norm"] > 0.2 for step in alone[precision])  # clipped in each step
    loss, norm = differences(seen[name]["metrics"], alone[precision])
    assert loss < ROUNDING[precision][0]
    assert norm < ROUNDING[precision][1]
    assert seen[name]["frequencies"] == "torch.float32"


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_has_the_bits_of_one_that_was_not(name: str, seen: dict[str, Any]) -> None:
    assert seen[name]["restored"]
    assert seen[name]["resumed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_is_not_taken_leaves_all_bits_as_they_were(
    name: str, seen: dict[str, Any]
) -> None:
    spikes, not_finite = seen[name]["spikes"], seen[name]["not_finite"]
    assert 0 < sum(spikes["skipped"]) < STEPS
    assert spikes["changed"] == [not one for one in spikes["skipped"]]
    assert not_finite == {"skipped": [True, False], "changed": [False, True]}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_all_stages_leave_out_the_same_steps(precision: str, seen: dict[str, Any]) -> None:
    backend = backend_of(0, precision)
    steps(TrainState(backend), STEPS)
    expected = skipped(backend)
    for name in NAMES:
        if name.split("-")[1] == precision:
            assert seen[name]["spikes"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_one_process_goes_on_where_three_were(
    name: str, folder: Path, seen: dict[str, Any], alone: dict[str, Metrics]
) -> None:
    """In plain torch, from any stage; and without the moments it does not."""
    precision = name.split("-")[1]
    rounding = ROUNDING[precision][0]
    state = TrainState(backend_of(0, precision))
    state.restore(folder / name)
    assert (state.step, state.metrics) == (HALF, seen[name]["metrics"][:HALF])
    assert differences(steps(state, STEPS), alone[precision])[0] < rounding

    forgetful = TrainState(backend_of(0, precision))
    forgetful.backend.load_weights(SavedTensors(folder / name, "model"))
    forgetful.step, forgetful.tokens = HALF, state.metrics[HALF - 1]["tokens"]
    rest = steps(forgetful, STEPS)
    assert differences(rest, alone[precision][HALF:])[0] > 5 * rounding


@pytest.mark.parametrize("name", NAMES)
def test_saved_weights_are_those_of_plain_torch(name: str, folder: Path) -> None:
    """They differ by little of the way that they have gone: bf16 turns the first steps of few."""
    precision = name.split("-")[1]
    state = TrainState(backend_of(0, precision))
    begun = {name: value.clone() for name, value in state.backend.weights()}
    steps(state, HALF)
    ended = dict(state.backend.weights())
    saved = dict(SavedTensors(folder / name, "model"))
    assert saved.keys() == ended.keys()
    limit = {"fp32": 5e-6, "bf16": 5e-2}[precision]
    assert distance(saved, ended) < limit * distance(begun, ended)


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return math.sqrt(sum(float((one[name] - other[name]).square().sum()) for name in one))
