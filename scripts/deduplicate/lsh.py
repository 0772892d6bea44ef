"""Locality-sensitive hashing of MinHash signatures and union-find, compiled.

Documents are numbered by preference, best first. Each union keeps the lower number as its root, so
the root of a cluster is its preferred document, whatever the order of the unions.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.xxh64 import xxh64_slices


def matches_required(bands: int, rows: int) -> int:
    """Return how many of all values must agree for a Jaccard estimate of at least the threshold.

    The threshold is the one that the bands imply, (1 / bands) ** (1 / rows): the similarity where
    the probability of a common bucket rises most steeply (Leskovec, Rajaraman and Ullman, Mining
    of Massive Datasets, section 3.4.2).
    """
    return math.ceil((1 / bands) ** (1 / rows) * bands * rows)


def fuzzy_roots(minhashes: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.int64]:
    """Return the lowest number in the cluster of each document.

    minhashes: uint32 [documents, bands * rows]. Two documents are joined if all rows of some band
    agree (found by sorting the hashes of the band) and enough of all their values do.
    """
    roots = np.arange(len(minhashes), dtype=np.int64)
    required = matches_required(bands, rows)
    for band in range(bands):
        keys = _band_keys(minhashes, band, rows)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        bounds = np.concatenate(([0], edges, [len(keys)])).astype(np.int64)
        _join_buckets(order, bounds, minhashes, required, roots)
    return _flatten(roots)


def _band_keys(minhashes: NDArray[np.uint32], band: int, rows: int) -> NDArray[np.uint64]:
    width = rows * minhashes.itemsize
    starts = np.arange(len(minhashes), dtype=np.int64) * minhashes.shape[1] * minhashes.itemsize
    starts += band * width
    return xxh64_slices(minhashes.reshape(-1).view(np.uint8), starts, starts + width)


@njit("int64(int64[::1], int64)", cache=True, nogil=True)
def _find(roots, document):  # type: ignore[no-untyped-def]
    while roots[document] != document:
        roots[document] = roots[roots[document]]
        document = roots[document]
    return document


@njit("boolean(uint32[:, ::1], int64, int64, int64)", cache=True, nogil=True)
def _similar(minhashes, one, other, required):  # type: ignore[no-untyped-def]
    matches = 0
    for index in range(minhashes.shape[1]):
        matches += minhashes[one, index] == minhashes[other, index]
    return matches >= required


@njit("void(int64[::1], int64[::1], uint32[:, ::1], int64, int64[::1])", cache=True, nogil=True)
def _join_buckets(order, bounds, minhashes, required, roots):  # type: ignore[no-untyped-def]
    """Join the similar documents of each bucket, ``order[bounds[i] : bounds[i + 1]]``.

    A breadth-first search over the bucket, which it reorders: [searched | reached | waiting]. It
    joins what comparing all pairs would, but compares a document that was reached only with those
    that were not, so that a bucket of near-identical documents costs one pass.
    """
    for bucket in range(len(bounds) - 1):
        end = bounds[bucket + 1]
        reached = bounds[bucket]
        for searched in range(bounds[bucket], end):
            reached = max(reached, searched + 1)
            for waiting in range(reached, end):
                one, other = _find(roots, order[searched]), _find(roots, order[waiting])
                if one == other or _similar(minhashes, order[searched], order[waiting], required):
                    roots[max(one, other)] = min(one, other)
                    order[reached], order[waiting] = order[waiting], order[reached]
                    reached += 1


@njit("int64[::1](int64[::1])", cache=True, nogil=True)
def _flatten(roots):  # type: ignore[no-untyped-def]
    for document in range(len(roots)):
        roots[document] = _find(roots, document)
    return roots
