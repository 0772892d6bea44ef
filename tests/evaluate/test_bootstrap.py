import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.evaluate import bootstrap


def estimate(delta: np.ndarray, clusters: np.ndarray | None = None) -> bootstrap.Estimate:
    clusters = np.arange(len(delta)) if clusters is None else clusters
    return bootstrap.paired(delta, np.zeros_like(delta), np.ones_like(delta), clusters, 0.95)


def test_interval_agrees_with_normal_theory() -> None:
    delta = np.random.default_rng(1).normal(0.3, 1.0, 400)
    found = estimate(delta)
    half = 1.96 * delta.std() / np.sqrt(len(delta))
    assert found.delta == pytest.approx(delta.mean())
    assert found.low == pytest.approx(delta.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(delta.mean() + half, abs=0.1 * half)


def test_false_positives_are_as_rare_as_promised() -> None:
    draws = np.random.default_rng(2).normal(0.0, 1.0, (200, 60))
    rejected = sum(estimate(delta).p <= 0.05 for delta in draws)
    assert 2 <= rejected <= 22


def test_copies_of_an_item_add_no_certainty_within_a_document() -> None:
    delta = np.random.default_rng(3).normal(0.1, 1.0, 50)
    copies, clusters = np.repeat(delta, 20), np.repeat(np.arange(50), 20)
    single = estimate(delta)
    assert estimate(copies, clusters)[:3] == pytest.approx(single[:3])
    naive = estimate(copies)
    assert naive.high - naive.low < 0.5 * (single.high - single.low)


def test_weighted_delta_is_a_ratio_of_sums() -> None:
    values, against = np.array([2.0, 1.0]), np.array([1.0, 1.0])
    weights = np.array([1.0, 9.0])
    found = bootstrap.paired(values, against, weights, np.array([7, 8]), 0.95)
    assert found.delta == pytest.approx(0.1)
    assert (found.low, found.high) == (0.0, 1.0)


def test_no_difference_is_no_evidence() -> None:
    assert estimate(np.zeros(30)) == (0.0, 0.0, 0.0, 1.0)


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_DRAWS_PER_BLOCK", 3000)
    drawn = bootstrap._resample(np.ones(7), np.ones(7))
    assert drawn.shape == (bootstrap.RESAMPLES,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_as_the_stepwise_procedure_does(p_values: list[float], alpha: float) -> None:
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = set()
    for rank, index in enumerate(order):
        if (len(p_values) - rank) * p_values[index] > alpha:
            break
        rejected.add(index)
    adjusted = bootstrap.holm(p_values)
    assert {index for index, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(0 <= p <= 1 for p in adjusted)
