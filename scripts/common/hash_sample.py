"""A bounded sample of rows, the same whatever the order in which they come."""

import numpy as np
from numpy.typing import NDArray

from scripts.common.keyed_hash import keyed_hash


class HashSample:
    """The ``size`` rows of numbers whose ids have the least hashes: all, where there are no more.

    Holds at most twice as many at a time.
    """

    def __init__(self, size: int, key: str) -> None:
        self.size, self._key = size, key
        self.seen = 0
        self._hashes: list[NDArray[np.uint64]] = []
        self._rows: list[NDArray[np.float64]] = []
        self._held = 0

    def add(self, ids: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Offer rows, float64 [ids, columns]."""
        self.seen += len(ids)
        for low in range(0, max(len(ids), 1), self.size):
            part = slice(low, low + self.size)
            self._hashes.append(keyed_hash(ids[part], self._key))
            self._rows.append(rows[part])
            self._held += len(self._hashes[-1])
            if self._held >= 2 * self.size:
                self._prune()

    def rows(self) -> NDArray[np.float64]:
        """Return the sample in the order of its hashes, float64 [rows, columns]."""
        if not self._rows:
            return np.empty((0, 0), np.float64)
        self._prune()
        return self._rows[0]

    def _prune(self) -> None:
        hashes = np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable")[: self.size]
        self._hashes = [hashes[order]]
        self._rows = [np.concatenate(self._rows)[order]]
        self._held = len(order)
