"""Sign a shard's documents, held-out ones included: a hash of the text and a MinHash of its words.

The member ``signatures.parquet`` has a row for each document and then for each held-out document:
``id``, ``heldout``, ``exact`` (BLAKE2b-128 of the text with each run of white space as one space)
and ``wordless``, true for a text without a word. Row for row ``minhash.npy`` has the MinHash
values, uint32 [rows, permutations]: a file that clustering can look into without reading it all.
"""

import logging
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.texts import Texts
from scripts.deduplicate import rows_file
from scripts.deduplicate.minhash import permutations, shingles, signatures
from scripts.deduplicate.rows_file import MINHASH_ITEM
from scripts.deduplicate.units import EXACT_BYTES, exact_hashes

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("heldout", pa.bool_(), nullable=False),
        pa.field("exact", pa.binary(EXACT_BYTES), nullable=False),
        pa.field("wordless", pa.bool_(), nullable=False),
    ]
)
SIGNED = (("documents", False), ("heldout", True))  # members of the documents, whether held out


class Settings(Model):
    """What a signature depends on."""

    shingle_words: Annotated[int, Field(gt=0)]
    permutations: Annotated[int, Field(gt=0)]
    seed: int


def build(draft: Draft, documents: Artifact, settings: Settings) -> None:
    """Write ``signatures.parquet`` and ``minhash.npy`` of one shard."""
    parameters = permutations(settings.permutations, settings.seed)
    draft.counts.update({"documents": 0, "heldout": 0, "without_words": 0})
    members = [(documents.member(f"{name}.parquet"), name, heldout) for name, heldout in SIGNED]
    rows = sum(pq.read_metadata(path).num_rows for path, _, _ in members)
    minhash = draft.path("minhash.npy")
    with (
        pq.ParquetWriter(draft.path("signatures.parquet"), SCHEMA, compression="zstd") as writer,
        rows_file.writing(minhash, rows, settings.permutations, MINHASH_ITEM) as append,
    ):
        for path, name, heldout in members:
            for batch in tables.batches(path, ["id", "text"]):
                texts = Texts.of_column(batch.column("text"))
                grams = shingles(texts, settings.shingle_words)
                wordless = np.diff(grams.offsets) == 0
                append(signatures(grams, parameters))
                columns = [
                    batch.column("id"),
                    pa.array([heldout] * len(texts)),
                    pa.array(exact_hashes(texts), SCHEMA.field("exact").type),
                    pa.array(wordless),
                ]
                writer.write_table(pa.table(columns, schema=SCHEMA))
                draft.counts[name] += len(texts)
                draft.counts["without_words"] += int(wordless.sum())


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    options = arguments.parse_args()
    settings = parse_settings(Settings, options.settings)
    documents = layout.documents(options.source, options.shard)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), settings),
        output=layout.signatures(options.source, options.shard),
        module="scripts.deduplicate.signatures",
        settings=settings.model_dump(mode="json"),
        inputs=[documents],
    )
    counts = artifact.counts
    log.info(
        "%s/%s: signed %s documents and %s held-out ones, %s without a word",
        *(options.source, options.shard),
        *(f"{counts[key]:,}" for key in ("documents", "heldout", "without_words")),
    )


if __name__ == "__main__":
    run(main)
