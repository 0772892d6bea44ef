"""Scan a shard's documents for the n-grams of evaluation items.

``attributes.parquet`` is row-aligned with the documents: ``id`` and ``contaminated``, the number of
distinct grams of the index that the document holds. ``hits.parquet`` has a row for each document
and item that share any: ``id``, ``task``, ``item``, ``ngrams`` (distinct ones). Each run also scans
a document of its own, behind the shard's, that holds the canary, and fails unless it finds it: a
scan that looks for nothing must not pass for one that finds nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.errors import UserError
from scripts.common.words import ngrams, split_words
from scripts.decontaminate.grams import (
    CANARY,
    GRAMS,
    MIN_WORDS,
    canary_document,
    canary_grams,
)

log = logging.getLogger(__name__)

ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("contaminated", pa.int32(), nullable=False),
    ]
)
HITS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("ngrams", pa.int32(), nullable=False),
    ]
)

_FOUND = pa.schema([pa.field("document", pa.int64()), GRAMS.field("words"), GRAMS.field("hash")])
_PAIR = ["document", "task", "item"]

_FILTER_BITS = (16, 26)  # log2 of the filter's least and greatest size in bytes
_FILTER_SPARSITY = 16  # bytes for each gram, where the greatest size allows


class Settings(Model):
    ngram_words: Annotated[int, Field(ge=MIN_WORDS)]


class Grams:
    """The distinct grams of one length, with a byte map that most strangers do not pass."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self.hashes = np.unique(hashes)
        wanted_bits = (len(self.hashes) * _FILTER_SPARSITY).bit_length()
        self._shift = np.uint64(64 - min(max(wanted_bits, _FILTER_BITS[0]), _FILTER_BITS[1]))
        self._maybe = np.zeros(1 << (64 - int(self._shift)), np.bool_)
        self._maybe[self.hashes >> self._shift] = True

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return where in ``hashes`` grams are, ascending."""
        candidates = np.flatnonzero(self._maybe[hashes >> self._shift])
        values = hashes[candidates]
        places = np.searchsorted(self.hashes, values)
        found = self.hashes[np.minimum(places, len(self.hashes) - 1)] == values
        return candidates[found]


class Index:
    """The grams of all items, to look documents up in."""

    def __init__(self, table: pa.Table) -> None:
        """Take the rows of ``grams.parquet``."""
        self._table = table
        lengths = table.column("words").to_numpy()
        hashes = table.column("hash").to_numpy()
        self._grams = {int(n): Grams(hashes[lengths == n]) for n in np.unique(lengths)}

    def scan(self, texts: Sequence[str]) -> pa.Table:
        """Return the distinct grams of each document: ``document``, ``words``, ``hash``."""
        words = split_words(texts)
        found = [_FOUND.empty_table()]
        for length, grams in self._grams.items():
            candidates = ngrams(words, length)
            places = grams.find(candidates.hashes)
            documents = np.searchsorted(candidates.offsets, places, side="right") - 1
            lengths = np.full(len(places), length, np.int32)
            columns = [documents, lengths, candidates.hashes[places]]
            found.append(pa.table([pa.array(column) for column in columns], schema=_FOUND))
        whole = pa.concat_tables(found)
        return whole.group_by(_FOUND.names, use_threads=False).aggregate([]).cast(_FOUND)

    def attribute(self, found: pa.Table) -> pa.Table:
        """Return the number of distinct grams that each document shares with each item."""
        pairs = found.join(self._table, ["words", "hash"], join_type="inner", use_threads=False)
        counted = pairs.group_by(_PAIR, use_threads=False).aggregate([([], "count_all")])
        return counted.sort_by([(key, "ascending") for key in _PAIR])


def build(draft: Draft, documents: Artifact, index: Artifact, settings: Settings) -> None:
    """Write ``attributes.parquet`` and ``hits.parquet`` of one shard.

    Raises UserError if the canary is not found.
    """
    grams = Index(tables.read(index.member("grams.parquet")))
    attributes, hits = [ATTRIBUTES.empty_table()], [HITS.empty_table()]
    for ids, texts in _batches(documents.member("documents.parquet")):
        found = grams.scan(texts)
        numbers = np.bincount(found.column("document").to_numpy(), minlength=len(texts))
        attributes.append(pa.table([ids, pa.array(numbers.astype(np.int32))], schema=ATTRIBUTES))
        hits.append(_hits(grams.attribute(found), ids))
    _check_canary(grams, settings.ngram_words)
    by_document, by_item = pa.concat_tables(attributes), pa.concat_tables(hits)
    tables.write(by_document, draft.path("attributes.parquet"))
    tables.write(by_item, draft.path("hits.parquet"))
    draft.counts["documents"] = by_document.num_rows
    draft.counts["contaminated"] = pc.sum(pc.greater(by_document["contaminated"], 0)).as_py() or 0
    draft.counts["documents_by_task"] = _documents_by_task(by_item)


def _batches(path: Path) -> Iterator[tuple[pa.Array, list[str]]]:
    for batch in tables.batches(path, ["id", "text"]):
        yield batch.column("id"), batch.column("text").to_pylist()


def _hits(attributed: pa.Table, ids: pa.Array) -> pa.Table:
    columns = [
        ids.take(attributed.column("document").combine_chunks()),
        attributed.column("task"),
        attributed.column("item"),
        attributed.column("count_all").cast(pa.int32()),
    ]
    return pa.table(columns, schema=HITS)


def _documents_by_task(hits: pa.Table) -> dict[str, int]:
    documents = hits.group_by("task").aggregate([("id", "count_distinct")])
    return {row["task"]: row["id_count_distinct"] for row in documents.to_pylist()}


def _check_canary(grams: Index, ngram_words: int) -> None:
    attributed = grams.attribute(grams.scan(["", canary_document(ngram_words)]))
    expected = {"document": 1, "task": CANARY, "item": CANARY}
    expected["count_all"] = canary_grams(ngram_words)
    if expected not in attributed.to_pylist():
        raise UserError(
            f"the planted canary was not found ({attributed.to_pylist()}), so nothing else would "
            f"be: delete {layout.contamination_index()} and run Snakemake again"
        )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    options = arguments.parse_args()
    settings = parse_settings(Settings, options.settings)
    documents = layout.documents(options.source, options.shard)
    index = layout.contamination_index()
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), Artifact.load(index), settings),
        output=layout.attributes(options.source, "contamination", options.shard),
        module="scripts.decontaminate.scan",
        settings=settings.model_dump(mode="json"),
        inputs=[documents, index],
    )
    log.info(
        "%s/%s: %s documents, %s contaminated; the canary was found",
        *(options.source, options.shard),
        *(f"{artifact.counts[key]:,}" for key in ("documents", "contaminated")),
    )


if __name__ == "__main__":
    run(main)
