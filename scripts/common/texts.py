"""Many texts as one buffer of UTF-8, as compiled code reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """Text d is ``data[offsets[d] : offsets[d + 1]]``.

    data: uint8, valid UTF-8. offsets: int64 [texts + 1].
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of_strings(cls, strings: Sequence[str]) -> "Texts":
        """Encode strings; a lone surrogate, which only JSON can bring, becomes "?"."""
        return cls.of_bytes([string.encode(errors="replace") for string in strings])

    @classmethod
    def of_column(cls, column: pa.LargeStringArray) -> "Texts":
        """Take the buffers of an Arrow column without nulls; nothing is copied."""
        if not pa.types.is_large_string(column.type) or column.null_count:
            raise TypeError(f"a column of large_string without nulls is needed, not {column.type}")
        if not len(column):  # Arrow may leave out the buffers of an empty column
            return cls.of_bytes([])
        _, offsets, data = column.buffers()
        return cls(
            np.frombuffer(data or b"", np.uint8),
            np.frombuffer(offsets, np.int64)[column.offset :][: len(column) + 1],
        )

    @classmethod
    def of_bytes(cls, encoded: Sequence[bytes]) -> "Texts":
        """Join texts that are UTF-8 already."""
        return cls(np.frombuffer(b"".join(encoded), np.uint8), _offsets([*map(len, encoded)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def encoded(self, index: int) -> bytes:
        """Return the UTF-8 of one text."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def replaced(self, indices: NDArray[np.int64], encoded: Sequence[bytes]) -> "Texts":
        """Return these texts with others, UTF-8 already, at ``indices``, which ascend."""
        pieces: list[Any] = []
        at = int(self.offsets[0])
        for index, text in zip(indices, encoded, strict=True):
            pieces += [self.data[at : self.offsets[index]].data, text]
            at = int(self.offsets[index + 1])
        pieces.append(self.data[at : self.offsets[-1]].data)
        lengths = np.diff(self.offsets)
        lengths[indices] = [len(text) for text in encoded]
        return Texts(np.frombuffer(b"".join(pieces), np.uint8), _offsets(lengths))


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
