"""Which of a shard's documents are selected."""

import numpy as np
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact


def read_kept(documents: Artifact, selection: Artifact) -> NDArray[np.bool_]:
    """Return, for every document in row order, whether it is selected: (documents,) of bool.

    Raises UserError if the selection is not of these documents.
    """
    path = selection.member("selection.parquet")
    selected = tables.read(path, columns=["id", "kept"])
    ids = tables.read(documents.member("documents.parquet"), columns=["id"])["id"]
    tables.check_aligned(selected, ids.to_pylist(), path)
    return selected["kept"].to_numpy()
