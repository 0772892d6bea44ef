"""Sign a shard's documents, held-out ones included: a hash of the text and a MinHash of its words.

The member ``signatures.parquet`` has a row for each document and then for each held-out document:
``id``, ``heldout``, ``exact`` (BLAKE2b-128 of the text with each run of white space as one space)
and ``minhash`` (little-endian uint32, one for each permutation; null for a text without a word).
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.deduplicate.minhash import permutations, shingles, signatures

log = logging.getLogger(__name__)

EXACT_BYTES = 16
MINHASH_ITEM = np.dtype("<u4")


class Settings(Model):
    """What a signature depends on; ``permutations`` is bands times rows."""

    shingle_words: Annotated[int, Field(gt=0)]
    permutations: Annotated[int, Field(gt=0)]
    seed: int


def schema(permutations: int) -> pa.Schema:
    """Return the columns of ``signatures.parquet`` for a number of permutations."""
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("heldout", pa.bool_(), nullable=False),
            pa.field("exact", pa.binary(EXACT_BYTES), nullable=False),
            pa.field("minhash", pa.binary(permutations * MINHASH_ITEM.itemsize)),
        ]
    )


def exact_hash(text: str) -> bytes:
    """Return the BLAKE2b-128 of a text whose runs of white space count as one space."""
    normalized = " ".join(text.split()).encode()
    return hashlib.blake2b(normalized, digest_size=EXACT_BYTES).digest()


def build(draft: Draft, documents: Artifact, settings: Settings) -> None:
    """Write ``signatures.parquet`` of one shard."""
    columns = schema(settings.permutations)
    parameters = permutations(settings.permutations, settings.seed)
    counts = {"documents": 0, "heldout": 0, "without_words": 0}
    with pq.ParquetWriter(draft.path("signatures.parquet"), columns, compression="zstd") as writer:
        for name, heldout in (("documents", False), ("heldout", True)):
            for ids, texts in _batches(documents.member(f"{name}.parquet")):
                grams = shingles(texts, settings.shingle_words)
                wordless = np.diff(grams.offsets) == 0
                minhashes = signatures(grams, parameters).astype(MINHASH_ITEM, copy=False)
                writer.write_table(
                    pa.table(
                        [
                            ids,
                            pa.array([heldout] * len(ids)),
                            pa.array([exact_hash(text) for text in texts], columns.field(2).type),
                            pa.array(map(bytes, minhashes), columns.field(3).type, mask=wordless),
                        ],
                        schema=columns,
                    )
                )
                counts[name] += len(ids)
                counts["without_words"] += int(wordless.sum())
    draft.counts.update(counts)


def _batches(path: Path) -> Iterator[tuple[pa.Array, Sequence[str]]]:
    for batch in tables.batches(path, ["id", "text"]):
        yield batch.column("id"), batch.column("text").to_pylist()


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
