"""Score a shard's documents by a rater: each one's probability of being good."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.annotate.model import Model as RaterModel
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model

log = logging.getLogger(__name__)

_MIN_STD = 1e-3


class Settings(Model):
    """None: the rater decides everything."""


def build(draft: Draft, documents: Artifact, rater: Artifact, name: str) -> None:
    """Write `attributes.parquet`: `id` and a column ``name`` in [0, 1], a row per document."""
    model = RaterModel(rater.member("model.bin"))
    rows = pq.ParquetFile(documents.member("documents.parquet"))
    ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    for batch in rows.iter_batches(batch_size=tables.ROW_GROUP_ROWS, columns=["id", "text"]):
        ids.append(batch["id"].to_numpy())
        scores.append(model.score(batch["text"].to_pylist()))
    column = np.concatenate(scores)
    schema = pa.schema(
        [pa.field("id", pa.int64(), nullable=False), pa.field(name, pa.float64(), nullable=False)]
    )
    tables.write(
        pa.table({"id": np.concatenate(ids), name: column}, schema=schema),
        draft.path("attributes.parquet"),
    )
    draft.counts = {"documents": len(column), **_spread(column)}


def _spread(scores: np.ndarray) -> dict[str, float]:
    if not len(scores):
        return {"mean": 0.0, "std": 0.0}
    return {"mean": round(float(scores.mean()), 6), "std": round(float(scores.std()), 6)}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    documents = layout.documents(given.source, given.shard)
    rater = layout.rater(given.rater)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), Artifact.load(rater), given.rater),
        output=layout.attributes(given.source, given.rater, given.shard),
        module="scripts.annotate.quality",
        settings=settings.model_dump(mode="json"),
        inputs=[documents, rater],
    )
    counts = artifact.counts
    place = f"{given.source}/{given.shard}"
    log.info(
        "%s: %s documents scored by %s, mean %.3f, std %.3f",
        place,
        f"{counts['documents']:,}",
        given.rater,
        counts["mean"],
        counts["std"],
    )
    if counts["documents"] > 1 and counts["std"] < _MIN_STD:
        log.warning(
            "%s: rater %s scores all documents alike, so no bound on it can tell them apart",
            place,
            given.rater,
        )


if __name__ == "__main__":
    run(main)
