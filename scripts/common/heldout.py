"""Held-out documents as they are scored: a sample that grows without changing, cut to fit models.

Bytes, unlike tokens, compare models of different tokenizers: what is predicted is told in bits per
byte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from scripts.common import layout, tables
from scripts.common.artifact import Artifact

# Only the head of a document is scored: in a ratio of sums, one long file would outweigh the rest.
HEAD_BYTES = 4096


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


def head(text: str, limit: int = HEAD_BYTES) -> str:
    """Return the longest beginning of ``text`` that has at most ``limit`` bytes in UTF-8."""
    return text.encode()[:limit].decode(errors="ignore")


def windows(tokens: list[int], context: int) -> list[list[int]]:
    """Cut a document, prefix first, into windows of which each token but the first is predicted.

    Each sees the last token of the one before it and predicts up to ``context`` new ones, so that
    every token counts once.
    """
    return [tokens[start : start + context + 1] for start in range(0, len(tokens) - 1, context)]
