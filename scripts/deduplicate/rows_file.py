"""NumPy files of one array that is written row by row and read by memory-mapping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from scripts.common.errors import UserError

MINHASH_ITEM = np.dtype("<u4")
EMBEDDING_ITEM = np.dtype("<f2")
ROOT_ITEM = np.dtype("<i8")  # of the semantic clusters' roots


@contextmanager
def writing(
    path: Path, rows: int, width: int, dtype: np.dtype
) -> Iterator[Callable[[NDArray], None]]:
    """Yield a function that appends to an array [rows, width] at ``path``.

    By plain writes: a full disk is an error, where with a memory-map it would be a crash. Raises
    ValueError if other than ``rows`` rows were appended.
    """
    written = 0

    def append(array: NDArray) -> None:
        nonlocal written
        file.write(np.ascontiguousarray(array, dtype).data)
        written += len(array)

    with path.open("wb") as file:
        header = {
            "descr": npy.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (rows, width),
        }
        npy.write_array_header_1_0(file, header)
        yield append
    if written != rows:
        raise ValueError(f"{path} has a row for each of {rows:,} documents, but {written:,} came")


def mapped(path: Path, rows: int, width: int, dtype: np.dtype) -> NDArray:
    """Map the array of a file; raises UserError unless it has this shape and type."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != (rows, width) or array.dtype != dtype:
        raise UserError(
            f"{path} holds {array.dtype} {list(array.shape)}, not {dtype} [{rows}, {width}]: "
            "delete the content.json beside it and run Snakemake again"
        )
    return array
