"""Ranks and their correlation."""

import numpy as np
from numpy.typing import NDArray


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's rank from 1; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation, None where either is constant or there are none."""
    if not len(one) or one.min() == one.max() or other.min() == other.max():
        return None
    return float(np.corrcoef(average_ranks(one), average_ranks(other))[0, 1])
