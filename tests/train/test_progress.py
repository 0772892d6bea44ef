from typing import Any

import pytest
import torch

from scripts.common.batch_plan import BatchPlan
from scripts.common.config.train import Architecture
from scripts.train import progress
from scripts.train.batches import Batch
from scripts.train.model import create
from scripts.train.progress import Progress, Stopwatch
from scripts.train.state import TrainState
from scripts.train.tracking import Trackers
from scripts.train.utilization import Flops

PLAN = BatchPlan.of(7_200_000, 60_000, 100)  # 120 steps


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress, "time", self)

    def monotonic(self) -> float:
        return self.now


def run(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: list[float],
    flops: Flops | None = None,
    **record: Any,
) -> list[str]:
    """The lines of steps that take ``seconds`` each."""
    caplog.set_level("INFO")
    clock = Clock(monkeypatch)
    state = TrainState(None)  # type: ignore[arg-type]
    shown = Progress("base", state, PLAN, Trackers({}), flops)
    for step, each in enumerate(seconds, 1):
        clock.now += each
        state.step, state.tokens = step, 60_000 * step
        values = {"step": step, "lr": 3e-4, "loss": 2.5, **record}
        state.metrics.append({**values, "tokens": state.tokens})
        shown.step()
    return [record.message for record in caplog.records]


def test_a_line_has_all_that_one_looks_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flops = Flops(per_token=6e9, peak=4.8e14)
    lines = run(monkeypatch, caplog, [6.0], flops, heldout={"code": 0.71, "math": None})
    assert lines == [
        "base: step 1/120, 10,000 tokens/s, MFU 12.5%, lr 0.0003, loss 2.5000, "
        "code 0.7100, math not finite, 0:11:54 left"
    ]


def test_lines_come_every_few_seconds_with_the_speed_since_the_last_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = run(monkeypatch, caplog, [2.0] * 6 + [6.0])
    assert [line.split(",")[0] for line in lines] == [
        f"base: step {step}/120" for step in (3, 6, 7)
    ]
    assert [line.split(", ")[1] for line in lines] == ["30,000 tokens/s"] * 2 + ["10,000 tokens/s"]
    assert "MFU" not in "".join(lines)


def test_the_last_step_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(monkeypatch, caplog, [0.01] * 120)[-1].endswith("0:00:00 left")


def test_a_loss_that_is_not_finite_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert "loss not finite" in run(monkeypatch, caplog, [6.0], loss=None)[0]


def test_flops_are_those_of_matrices_and_of_attention_within_documents() -> None:
    shape = Architecture(hidden_size=16, intermediate_size=24, layers=2, heads=2)
    model = create(shape, {"vocabulary": 40, "bos": 0, "eos": 1}, 8, None)
    positions_BT = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    batch = Batch(*(positions_BT,) * 3)
    matrices = 2 * (4 * 16 * 16 + 3 * 16 * 24) + 40 * 16
    for devices in (["NVIDIA H100 80GB HBM3"], 4 * ["NVIDIA H100 80GB HBM3"]):
        flops = Flops.of(model, batch, devices)
        assert flops is not None
        assert flops.per_token == 6 * matrices + 6 * 2 * 16 * 4  # documents of 4 tokens
        assert flops.share(1e6) == pytest.approx(1e6 * flops.per_token / 989.4e12 / len(devices))


def test_the_share_of_an_unknown_peak_is_not_guessed() -> None:
    batch = Batch(*(torch.zeros(1, 2, dtype=torch.int64),) * 3)
    assert Flops.of(None, batch, []) is None  # type: ignore[arg-type]
    assert Flops.of(None, batch, ["NVIDIA H100", "Abacus"]) is None  # type: ignore[arg-type]


def test_the_stopwatch_tells_shares_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watch = Stopwatch()
    for _ in range(2):
        with watch.on("data"):
            clock.now += 1
        clock.now += 48
    with watch.on("checkpoints"):
        clock.now += 2
    assert str(watch) == "0:01:40, of which 2.00% on checkpoints, 2.00% on data"
