"""An external sort: records on disk, parted by key so that one part at a time is in memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART_RECORDS = 1 << 19
_MOST_BITS = 8  # 256 files open at once; beyond that many parts they grow

# Records have a field `key`, uint64, whose values are spread evenly, as hashes are.
KEY = "key"


class Spill:
    """A file of records that come back in parts, by the leading bits of their keys.

    Equal keys are always in one part; keys ascend from part to part, not within one.
    """

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._dtype = path, dtype
        self._file = path.open("wb")

    def add(self, records: NDArray) -> None:
        self._file.write(np.ascontiguousarray(records).view(np.uint8).data)

    def parts(self) -> Iterator[NDArray]:
        """Yield all records, some PART_RECORDS at a time; afterwards no file is left."""
        self._file.close()
        count = self._path.stat().st_size // self._dtype.itemsize
        bits = min(_MOST_BITS, max(0, (-(-count // PART_RECORDS) - 1).bit_length()))
        for path in self._split(bits) if bits else [self._path]:
            records = np.fromfile(path, self._dtype)
            path.unlink()
            if len(records):
                yield records

    def _split(self, bits: int) -> list[Path]:
        paths = [self._path.with_suffix(f".{part}") for part in range(1 << bits)]
        with ExitStack() as stack:
            whole = stack.enter_context(self._path.open("rb"))
            files = [stack.enter_context(path.open("wb")) for path in paths]
            while len(records := np.fromfile(whole, self._dtype, PART_RECORDS)):
                part = (records[KEY] >> np.uint64(64 - bits)).astype(np.uint16)
                order = np.argsort(part, kind="stable")
                bounds = np.searchsorted(part[order], np.arange(len(files) + 1))
                for file, start, stop in zip(files, bounds[:-1], bounds[1:], strict=True):
                    file.write(records[order[start:stop]].view(np.uint8).data)
        self._path.unlink()
        return paths


def repeated(keys: NDArray) -> NDArray[np.int64]:
    """Return the indices of all values that occur more than once, equals together."""
    order = np.argsort(keys)
    if len(order) == 0:
        return order
    equal = np.diff(keys[order]) == 0
    return order[np.append(equal, False) | np.append(False, equal)]


def runs(*columns: NDArray) -> NDArray[np.int64]:
    """Return where runs of rows equal in all columns begin, and where the last one ends."""
    length = len(columns[0])
    changes = np.zeros(length, np.bool_)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.append(np.flatnonzero(changes), length)
