"""Locality-sensitive hashing of MinHash signatures and union-find, compiled.

A band's documents are sorted by the hash of its rows; those of one bucket whose signatures agree
enough are joined. Each union keeps the better root, so the root of a cluster is its best document,
whatever the order of the unions.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.xxh64 import xxh64_slices
from scripts.deduplicate.spill import repeated, runs

# A bucket of more documents is compared in parts of so many, each with the bucket's best document:
# comparing all pairs of a million pages from one template would take days.
CROWDED = 4096
_GATHERED = 1 << 14  # documents whose signatures are in memory at once

# From the numbers of documents, which ascend, to their MinHashes [documents, permutations].
Gather = Callable[[NDArray[np.int64]], NDArray[np.uint32]]


def matches_required(threshold: float, permutations: int) -> int:
    """Return how many of all values must agree for a Jaccard estimate of at least the threshold."""
    return math.ceil(round(threshold * permutations, 9))


def band_keys(minhashes: NDArray[np.uint32], band: int, rows: int) -> NDArray[np.uint64]:
    """Return the hash of each document's rows of a band; ``minhashes`` is contiguous."""
    width = rows * minhashes.itemsize
    starts = np.arange(len(minhashes), dtype=np.int64) * minhashes.shape[1] * minhashes.itemsize
    starts += band * width
    return xxh64_slices(minhashes.reshape(-1).view(np.uint8), starts, starts + width)


class Clusters:
    """A union-find over documents: 8 bytes each, beside the ranks that say which is better."""

    def __init__(self, rank: NDArray[np.int64]) -> None:
        self.rank = rank
        self._roots = np.arange(len(rank), dtype=np.int64)

    def roots(self) -> NDArray[np.int64]:
        """Return the best document of each one's cluster (the array that later unions change)."""
        return _flatten(self._roots)

    def join(self, documents: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        """Join each document with the other one at the same place."""
        _join(documents, others, self._roots, self.rank)

    def join_buckets(
        self,
        keys: NDArray[np.uint64],
        documents: NDArray[np.int64],
        gather: Gather,
        required: int,
    ) -> int:
        """Join those documents of one key whose MinHashes agree in so many values.

        Returns the number of buckets that were too crowded to compare all pairs.
        """
        order = repeated(keys)
        order = order[np.lexsort((self.rank[documents[order]], keys[order]))]
        members, bounds = documents[order], runs(keys[order])
        settled = _settled(members, bounds, self._roots)
        parts = [
            part
            for bucket in np.flatnonzero(~settled)
            for part in _parts(members[bounds[bucket] : bounds[bucket + 1]])
        ]
        for batch in _batches(parts):
            some, local = np.unique(np.concatenate(batch), return_inverse=True)
            ends = np.cumsum([0, *map(len, batch)], dtype=np.int64)
            _join_similar(local, ends, gather(some), required, some, self._roots, self.rank)
        return int((np.diff(bounds)[~settled] > CROWDED).sum())

    def join_near(
        self,
        documents: NDArray[np.int64],
        others: NDArray[np.int64],
        vectors: NDArray[np.float32],
        other_vectors: NDArray[np.float32],
        pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
        threshold: float,
    ) -> None:
        """Join those pairs, places in ``documents`` and in ``others``, of at least this cosine.

        The cosine is summed in one order, whatever stands beside the two: a matrix product's last
        digits, which vary, decide nothing.
        """
        _join_near(
            documents, others, vectors, other_vectors, *pairs, threshold, self._roots, self.rank
        )


def _parts(bucket: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut a bucket, best document first, into parts to compare all pairs of."""
    if len(bucket) <= CROWDED:
        yield bucket
        return
    for start in range(1, len(bucket), CROWDED - 1):
        yield np.append(bucket[:1], bucket[start : start + CROWDED - 1])


def _batches(parts: list[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
    batch: list[NDArray[np.int64]] = []
    size = 0
    for part in parts:
        if batch and size + len(part) > _GATHERED:
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += len(part)
    if batch:
        yield batch


@njit("int64(int64[::1], int64)", cache=True, nogil=True)
def _find(roots, document):  # type: ignore[no-untyped-def]
    while roots[document] != document:
        roots[document] = roots[roots[document]]
        document = roots[document]
    return document


@njit("void(int64[::1], int64[::1], int64, int64)", cache=True, nogil=True)
def _union(roots, rank, one, other):  # type: ignore[no-untyped-def]
    """Join the clusters of two roots, or leave one as it is."""
    if rank[one] < rank[other]:
        roots[other] = one
    else:
        roots[one] = other


@njit("void(int64[::1], int64[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _join(documents, others, roots, rank):  # type: ignore[no-untyped-def]
    for index in range(len(documents)):
        _union(roots, rank, _find(roots, documents[index]), _find(roots, others[index]))


@njit("boolean[::1](int64[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _settled(members, bounds, roots):  # type: ignore[no-untyped-def]
    """Tell of which buckets all documents are in one cluster already."""
    result = np.ones(len(bounds) - 1, np.bool_)
    for bucket in range(len(result)):
        first = _find(roots, members[bounds[bucket]])
        for member in range(bounds[bucket] + 1, bounds[bucket + 1]):
            result[bucket] &= _find(roots, members[member]) == first
    return result


@njit("boolean(uint32[:, ::1], int64, int64, int64)", cache=True, nogil=True)
def _similar(minhashes, one, other, required):  # type: ignore[no-untyped-def]
    matches = 0
    for index in range(minhashes.shape[1]):
        matches += minhashes[one, index] == minhashes[other, index]
    return matches >= required


@njit(
    "void(int64[::1], int64[::1], uint32[:, ::1], int64, int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _join_similar(local, bounds, minhashes, required, documents, roots, rank):  # type: ignore[no-untyped-def]
    """Join the similar documents of each part, ``local[bounds[i] : bounds[i + 1]]``.

    A breadth-first search over the part, which it reorders: [searched | reached | waiting]. It
    joins what comparing all pairs would, but compares a document that was reached only with those
    that were not, so that a part of near-identical documents costs one pass.
    """
    for part in range(len(bounds) - 1):
        end = bounds[part + 1]
        reached = bounds[part]
        for searched in range(bounds[part], end):
            reached = max(reached, searched + 1)
            for waiting in range(reached, end):
                one = _find(roots, documents[local[searched]])
                other = _find(roots, documents[local[waiting]])
                if one == other or _similar(minhashes, local[searched], local[waiting], required):
                    _union(roots, rank, one, other)
                    local[reached], local[waiting] = local[waiting], local[reached]
                    reached += 1


@njit(
    "void(int64[::1], int64[::1], float32[:, ::1], float32[:, ::1], int64[:], int64[:],"
    " float64, int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _join_near(documents, others, vectors, other_vectors, rows, columns, threshold, roots, rank):  # type: ignore[no-untyped-def]
    for index in range(len(rows)):
        row, column = rows[index], columns[index]
        one, other = _find(roots, documents[row]), _find(roots, others[column])
        if one == other:
            continue
        product = length = other_length = 0.0
        for dimension in range(vectors.shape[1]):
            x, y = np.float64(vectors[row, dimension]), np.float64(other_vectors[column, dimension])
            product += x * y
            length += x * x
            other_length += y * y
        if product >= threshold * np.sqrt(length * other_length):
            _union(roots, rank, one, other)


@njit("int64[::1](int64[::1])", cache=True, nogil=True)
def _flatten(roots):  # type: ignore[no-untyped-def]
    for document in range(len(roots)):
        roots[document] = _find(roots, document)
    return roots
