"""A shard's scores by one rater: how they are written, summed up and judged."""

import logging

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact, Draft

log = logging.getLogger(__name__)

_MIN_STD = 1e-3


def write(draft: Draft, name: str, ids: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    """Write ``attributes.parquet``, ``id`` and a column ``name``, and count."""
    fields = [pa.field("id", pa.int64(), nullable=False)]
    schema = pa.schema([*fields, pa.field(name, pa.float64(), nullable=False)])
    table = pa.table({"id": ids, name: scores}, schema=schema)
    tables.write(table, draft.path("attributes.parquet"))
    known = scores[~np.isnan(scores)]
    draft.counts.update(
        documents=len(scores),
        mean=round(float(known.mean()), 6) if len(known) else 0.0,
        std=round(float(known.std()), 6) if len(known) else 0.0,
    )


def report(place: str, rater: str, artifact: Artifact) -> None:
    """Log what was scored, and warn of scores that tell nothing apart."""
    counts = artifact.counts
    log.info(
        "%s: %s documents scored by %s, mean %.3f, std %.3f",
        place,
        f"{counts['documents']:,}",
        rater,
        counts["mean"],
        counts["std"],
    )
    if counts["documents"] > 1 and counts["std"] < _MIN_STD:
        log.warning(
            "%s: rater %s scores all documents alike, so no bound on it can tell them apart",
            place,
            rater,
        )
