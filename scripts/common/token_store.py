"""Reading tokens artifacts: one shard's token ids, memory-mapped, and where its documents are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.common.artifact import Artifact
from scripts.common.errors import UserError

IDS = "ids.bin"
OFFSETS = "offsets.npy"
DOCUMENTS = "documents.npy"
REPEATS = "repeats.npy"


def ids_dtype(vocabulary: int) -> np.dtype[Any]:
    """Return the little-endian type that stores ids below ``vocabulary``."""
    return np.dtype("<u2" if vocabulary <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class TokenStore:
    """One shard's documents as token ids.

    ``ids`` is (tokens,) of uint16 or uint32, ``offsets`` is (documents + 1,) of int64, and document
    ``d`` with id ``document_ids[d]`` is ``ids[offsets[d]:offsets[d + 1]]``, which an epoch reads
    ``repeats[d]`` times, int32. All are read-only maps of files: opening costs no memory.
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]
    document_ids: NDArray[np.int64]
    repeats: NDArray[np.int32]
    counts: Mapping[str, Any]

    @classmethod
    def open(cls, content_path: Path) -> "TokenStore":
        """Open the tokens artifact whose ``content.json`` is at ``content_path``.

        Raises UserError for missing or truncated members, and for sizes that contradict each other.
        """
        artifact = Artifact.load(content_path)
        ids = _map_ids(artifact.member(IDS), np.dtype(artifact.counts["dtype"]).newbyteorder("<"))
        offsets = np.load(artifact.member(OFFSETS), mmap_mode="r", allow_pickle=False)
        document_ids = np.load(artifact.member(DOCUMENTS), mmap_mode="r", allow_pickle=False)
        repeats = np.load(artifact.member(REPEATS), mmap_mode="r", allow_pickle=False)
        aligned = len(offsets) - 1 == len(document_ids) == len(repeats)
        if not aligned or offsets[0] != 0 or offsets[-1] != len(ids):
            raise UserError(
                f"{content_path}: {IDS}, {OFFSETS}, {DOCUMENTS}, {REPEATS} do not fit together "
                f"({len(ids)} ids, offsets to {offsets[-1:]}, {len(document_ids)} documents, "
                f"{len(repeats)} repeats): "
                "delete it and run Snakemake again"
            )
        return cls(ids, offsets, document_ids, repeats, artifact.counts)


def _map_ids(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # the system cannot map an empty file
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")
