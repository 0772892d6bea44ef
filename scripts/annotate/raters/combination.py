"""Several raters' percentiles as one score."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scripts.common.config.base import Model

_PENALTY, _BIAS_PENALTY = 1e-3, 1e-5  # the bias has one too: a single optimum, whatever the data
_STEPS = 50
_CONVERGED = 1e-10


class Combination(Model):
    """How percentiles are combined; ``weights`` of mean or learned are in the raters' order."""

    method: Literal["mean", "union", "intersection", "learned"]
    weights: list[float]
    bias: float = 0.0

    def __call__(self, percentiles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a score in [0, 1] for each row of [documents, raters]; NaN if any is NaN."""
        if self.method == "union":
            return percentiles.max(axis=1)
        if self.method == "intersection":
            return percentiles.min(axis=1)
        weights = np.array(self.weights)
        # Column by column: a matrix product's last bits may depend on the number of rows.
        total = np.zeros(len(percentiles))
        for rater, weight in enumerate(weights):
            total += weight * percentiles[:, rater]
        if self.method == "mean":
            return total / weights.sum()
        return 1 / (1 + np.exp(-(total + self.bias)))


def learn(percentiles: NDArray[np.float64], good: NDArray[np.bool_]) -> Combination:
    """Fit a logistic regression of ``good`` on the percentiles, by Newton's method.

    It minimises the mean cross-entropy plus a small penalty on squared weights: convex, so that the
    result does not depend on where it starts.
    """
    inputs = np.column_stack([percentiles, np.ones(len(good))])
    penalty = np.append(np.full(percentiles.shape[1], _PENALTY), _BIAS_PENALTY)
    weights = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (probability - good) / len(good) + penalty * weights
        spread = probability * (1 - probability) / len(good)
        step = np.linalg.solve((inputs.T * spread) @ inputs + np.diag(penalty), gradient)
        weights -= step
        if np.abs(step).max() < _CONVERGED:
            break
    rounded = [round(float(weight), 9) for weight in weights]
    return Combination(method="learned", weights=rounded[:-1], bias=rounded[-1])


def weights_of(raters: Sequence[str], given: dict[str, float]) -> list[float]:
    return [given.get(rater, 1.0) for rater in raters]
