import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.config.train import Spikes
from scripts.train.spikes import SpikeRule

WINDOW = 8


def step(loss: float, grad_norm: float = 1.0, **more: object) -> dict[str, object]:
    return {"loss": loss, "grad_norm": grad_norm, **more}


def rule(losses: list[float], deviations: float | None = 3.0) -> SpikeRule:
    settings = Spikes(window=WINDOW, deviations=deviations, in_a_row=4)
    return SpikeRule(settings, [step(loss) for loss in losses])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_never_taken(value: float) -> None:
    assert rule([]).reason(value, 1.0) == f"loss is {value}"
    assert rule([]).reason(2.0, value) == f"grad_norm is {value}"


def test_nothing_else_is_judged_before_a_window_is_full() -> None:
    assert rule([2.0, 3.0] * 3).reason(1e6, 1e6) is None
    assert rule([2.0, 3.0] * 4).reason(1e6, 1.0) is not None
    assert rule([2.0, 3.0] * 4, deviations=None).reason(1e6, 1e6) is None


@given(
    st.lists(st.floats(0.1, 20), min_size=WINDOW, max_size=40),
    st.floats(0.1, 60),
    st.floats(0.5, 9),
)
def test_a_limit_is_the_mean_and_deviations_of_the_last_window(
    losses: list[float], loss: float, deviations: float
) -> None:
    last = losses[-WINDOW:]
    mean = sum(last) / WINDOW
    spread = math.sqrt(sum((one - mean) ** 2 for one in last) / (WINDOW - 1))
    if abs(loss - mean - deviations * spread) < 1e-9:
        return
    taken = rule(losses, deviations).reason(loss, 1.0) is None
    assert taken == (loss < mean + deviations * spread)


def test_steps_that_were_not_taken_count_in_a_row_and_set_no_limit() -> None:
    spikes = rule([2.0, 3.0] * 4)
    before = spikes.reason(3.5, 1.0), spikes.reason(1e3, 1.0)
    for _ in range(3):
        spikes.add(step(1e3, skipped="loss 1000 is above 3"))
    assert spikes.in_a_row == 3
    assert (spikes.reason(3.5, 1.0), spikes.reason(1e3, 1.0)) == before
    spikes.add(step(2.5))
    assert spikes.in_a_row == 0
