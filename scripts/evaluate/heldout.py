"""Held-out documents as the evaluations read them: a sample that grows without changing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from scripts.common import layout, tables
from scripts.common.artifact import Artifact


@dataclass(frozen=True)
class Document:
    id: int
    source: str
    text: str


def content_records(shards: Mapping[str, int]) -> list[Path]:
    """Return the documents artifacts of all shards, given the number of shards by source."""
    return [
        layout.documents(source, shard)
        for source in sorted(shards)
        for shard in range(shards[source])
    ]


def read(records: Iterable[Path], count: int) -> list[Document]:
    """Return the ``count`` held-out documents with the smallest ids, by id; all if there are fewer.

    An id is a hash of the document, so the smallest are a random sample, and a larger ``count``
    keeps the documents of a smaller one. The texts of the others are never read.
    """
    files = [Artifact.load(record).member("heldout.parquet") for record in records]
    ids = {id for file in files for id in tables.read(file, ["id"]).column("id").to_pylist()}
    chosen = sorted(ids)[:count]
    found: dict[int, Document] = {}
    if chosen:
        for file in files:
            rows = pq.read_table(
                file, columns=["id", "source", "text"], filters=[("id", "in", chosen)]
            )
            found.update((row["id"], Document(**row)) for row in rows.to_pylist())
    return [found[id] for id in chosen]
