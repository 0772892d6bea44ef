"""Mini-batch k-means on the unit sphere (Sculley, Web-scale k-means clustering, 2010).

Vectors are compared by cosine. Products are of float64, and of matrices of one shape: the nearest
centre of a vector does not depend on what is computed beside it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_SEEN_PER_CLUSTER = 256
_BATCH = 4096
_PRODUCT = 1 << 24  # entries of the product of a batch and all centres, at most

# From places, 0 to the number of vectors, to the vectors: float [places, dimensions].
Vectors = Callable[[NDArray[np.int64]], NDArray]


def train(vectors: Vectors, count: int, clusters: int, seed: int) -> NDArray[np.float64]:
    """Return the centres [clusters, dimensions] of ``count`` vectors, no more than these.

    They start as vectors drawn at random; then each batch, drawn at random, draws the centres
    nearest to it towards it, the less the more they have seen.
    """
    generator = np.random.default_rng(seed)
    clusters = min(clusters, count)
    centres = _unit(vectors(generator.choice(count, clusters, replace=False)))
    seen = np.zeros(clusters)
    size = _batch_size(clusters)
    for _ in range(-(-_SEEN_PER_CLUSTER * clusters // size)):
        batch = _unit(vectors(generator.integers(0, count, size)))
        near = nearest(batch, centres)
        new = np.bincount(near, minlength=clusters)
        seen += new
        order = np.argsort(near, kind="stable")
        starts = np.concatenate([[0], np.cumsum(new)[:-1]])
        moved = np.flatnonzero(new)
        sums = np.add.reduceat(batch[order], starts[moved], axis=0)
        shift = sums - new[moved, None] * centres[moved]
        centres[moved] = _unit(centres[moved] + shift / seen[moved, None])
    return centres


def nearest(vectors: NDArray, centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of the centre of greatest cosine to each vector, the first of equals."""
    size = _batch_size(len(centres))
    result = np.empty(len(vectors), np.int64)
    batch = np.zeros((size, centres.shape[1]))
    for start in range(0, len(vectors), size):
        piece = vectors[start : start + size]
        batch[: len(piece)] = piece
        result[start : start + size] = np.argmax(batch @ centres.T, axis=1)[: len(piece)]
    return result


def _batch_size(clusters: int) -> int:
    return max(64, min(_BATCH, _PRODUCT // clusters))


def _unit(vectors: NDArray) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    result: NDArray[np.float64] = wide / np.where(lengths > 0, lengths, 1)
    return result
