"""Which of a shard's documents are selected, how often an epoch reads each, and as what text."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact


def read_kept(documents: Artifact, selection: Artifact) -> NDArray[np.bool_]:
    """Return, for every document in row order, whether it is selected: (documents,) of bool.

    Raises UserError if the selection is not of these documents.
    """
    return read_repeats(documents, selection) > 0


def read_repeats(documents: Artifact, selection: Artifact) -> NDArray[np.int32]:
    """Return how often an epoch reads each document, 0 if it is dropped: (documents,) of int32.

    Raises UserError if the selection is not of these documents.
    """
    path = selection.member("selection.parquet")
    selected = tables.read(path, columns=["id", "repeats"])
    ids = tables.read(documents.member("documents.parquet"), columns=["id"])["id"]
    tables.check_aligned(selected, ids.to_pylist(), path)
    return selected["repeats"].to_numpy()


def read_edits(selection: Artifact) -> pa.ListArray:
    """Return the edits of every document in row order, for ``edits.apply_all``."""
    column = tables.read(selection.member("selection.parquet"), columns=["edits"])["edits"]
    return column.combine_chunks()
