"""Measure a shard's documents: Gopher's, C4's and FineWeb's heuristics, and the language.

Nothing is decided here: `scripts.select` bounds these columns without a look at the text.
"""

import logging
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.annotate import c4, fineweb, gopher, language, ngrams
from scripts.annotate.text import Text
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.attributes import HEURISTICS, LANGUAGE, LANGUAGE_SCORE, MEASURES
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in MEASURES),
        pa.field(LANGUAGE, pa.string(), nullable=False),
        pa.field(LANGUAGE_SCORE, pa.float64(), nullable=False),
    ]
)
_BATCH_CHARACTERS = 4_000_000  # bounds the memory of the n-gram arrays, about 100 bytes a word


class Settings(Model):
    """None: what the measures are is their definition."""


def build(draft: Draft, documents: Artifact) -> None:
    """Write `attributes.parquet`: a row per document, in order, with the columns of SCHEMA."""
    rows = pq.ParquetFile(documents.member("documents.parquet"))
    measured = [
        _measure(ids, [Text(text) for text in texts]) for ids, texts in _batches(_documents(rows))
    ]
    table = pa.concat_tables([SCHEMA.empty_table(), *measured])
    tables.write(table, draft.path("attributes.parquet"))
    languages = table.column(LANGUAGE).value_counts().to_pylist()
    draft.counts = {
        "documents": table.num_rows,
        "languages": {entry["values"]: entry["counts"] for entry in languages},
    }


def _documents(rows: pq.ParquetFile) -> Iterator[tuple[int, str]]:
    for batch in rows.iter_batches(batch_size=tables.ROW_GROUP_ROWS, columns=["id", "text"]):
        yield from zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True)


def _batches(documents: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    ids: list[int] = []
    texts: list[str] = []
    characters = 0
    for identifier, text in documents:
        ids.append(identifier)
        texts.append(text)
        characters += len(text)
        if characters >= _BATCH_CHARACTERS:
            yield ids, texts
            ids, texts, characters = [], [], 0
    if ids:
        yield ids, texts


def _measure(ids: list[int], texts: list[Text]) -> pa.Table:
    by_document = [
        gopher.quality(text) | gopher.repetition(text) | c4.measures(text) | fineweb.measures(text)
        for text in texts
    ]
    columns = {
        name: np.array([measures[name] for measures in by_document], dtype=np.float64)
        for name in by_document[0]
    }
    columns |= ngrams.repetition(texts)
    languages = [language.identify(text.raw) for text in texts]
    return pa.table(
        {
            "id": ids,
            **{name: columns[name] for name in MEASURES},
            LANGUAGE: [code for code, _ in languages],
            LANGUAGE_SCORE: [score for _, score in languages],
        },
        schema=SCHEMA,
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    documents = layout.documents(given.source, given.shard)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents)),
        output=layout.attributes(given.source, HEURISTICS, given.shard),
        module="scripts.annotate.heuristics",
        settings=settings.model_dump(mode="json"),
        inputs=[documents],
    )
    log.info(
        "%s/%s: %s documents measured; languages: %s",
        given.source,
        given.shard,
        f"{artifact.counts['documents']:,}",
        artifact.counts["languages"],
    )


if __name__ == "__main__":
    run(main)
