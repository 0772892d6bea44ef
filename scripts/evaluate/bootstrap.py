"""The statistics of a comparison: a paired bootstrap over clusters, and Holm's correction."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

RESAMPLES = 10_000
_DRAWS_PER_BLOCK = 1 << 22


class Estimate(NamedTuple):
    """A difference of means, its percentile interval and its two-sided p-value."""

    delta: float
    low: float
    high: float
    p: float


def paired(
    values: Vector, against: Vector, weights: Vector, clusters: NDArray[np.int64], confidence: float
) -> Estimate:
    """Estimate the weighted mean of ``values`` less that of ``against``, item by item.

    Whole clusters (documents) are drawn with replacement, since items of one document are not
    independent; the mean is a ratio of sums, drawn anew with its denominator. The same arguments
    give the same result, whatever else is compared. All arrays: [item].
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    sums: Vector = np.bincount(cluster, weights * (values - against)).astype(np.float64)
    totals: Vector = np.bincount(cluster, weights).astype(np.float64)
    drawn = _resample(sums, totals)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    # The estimate counts as one more draw, so that no p-value is zero.
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (float(tail) + 1) / (RESAMPLES + 1))
    return Estimate(float(sums.sum() / totals.sum()), float(low), float(high), p)


def _resample(sums: Vector, totals: Vector) -> Vector:
    """Return the ratio of sums to totals in each resample of the clusters: [RESAMPLES]."""
    generator = np.random.default_rng(0)
    size = len(sums)
    block = max(_DRAWS_PER_BLOCK // size, 1)
    ratios = []
    for start in range(0, RESAMPLES, block):
        drawn = generator.integers(size, size=(min(block, RESAMPLES - start), size))
        ratios.append(sums[drawn].sum(axis=1) / totals[drawn].sum(axis=1))
    return np.concatenate(ratios)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the same order."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
