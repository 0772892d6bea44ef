"""Hash the lines or the paragraphs of a shard's documents, held-out ones included.

The member ``lines.parquet`` has a row for each line or paragraph that is long enough to count, in
order: ``row`` (its document's row in the shard's signatures), ``start`` and ``end`` in characters
and ``hash``, the same for texts that differ in white space alone.
"""

import logging
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.texts import Texts
from scripts.deduplicate.signatures import SIGNED
from scripts.deduplicate.units import split_units

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
    ]
)


class Settings(Model):
    unit: Literal["paragraph", "line"]
    min_characters: Annotated[int, Field(gt=0)]


def build(draft: Draft, documents: Artifact, settings: Settings) -> None:
    """Write ``lines.parquet`` of one shard."""
    rows = units_found = 0
    with pq.ParquetWriter(draft.path("lines.parquet"), SCHEMA, compression="zstd") as writer:
        for name, _ in SIGNED:
            for batch in tables.batches(documents.member(f"{name}.parquet"), ["text"]):
                texts = Texts.of_column(batch.column("text"))
                units = split_units(
                    texts,
                    paragraphs=settings.unit == "paragraph",
                    min_characters=settings.min_characters,
                )
                row = (rows + units.text).astype(np.int32)
                columns = [row, units.start, units.end, units.hash]
                writer.write_table(pa.table([*map(pa.array, columns)], schema=SCHEMA))
                rows += len(texts)
                units_found += len(row)
    draft.counts.update({"documents": rows, f"{settings.unit}s": units_found})


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    options = arguments.parse_args()
    settings = parse_settings(Settings, options.settings)
    documents = layout.documents(options.source, options.shard)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), settings),
        output=layout.lines(options.source, options.shard),
        module="scripts.deduplicate.lines",
        settings=settings.model_dump(mode="json"),
        inputs=[documents],
    )
    found = artifact.counts[f"{settings.unit}s"]
    log.info("%s/%s: hashed %s %ss", options.source, options.shard, f"{found:,}", settings.unit)


if __name__ == "__main__":
    run(main)
