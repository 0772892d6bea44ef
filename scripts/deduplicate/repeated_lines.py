"""Find every line or paragraph that the corpus holds before, and where it is to be cut.

Of equal ones the first stays: in a held-out document before any other, then by the preference of
sources, id and place. Documents that are dropped as duplicates neither lose lines nor take any
from others. A member ``{source}.parquet`` has for each training document, by shard and row, the
``spans`` to cut: ``start`` and ``end`` in characters, ascending, and ``kind``.

Hashes have 64 bits: among 10**9 lines a chance match is expected 0.03 times. In memory are a part
of them and a byte for each line.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.deduplicate.corpus import Corpus, Key, Shard
from scripts.deduplicate.spill import KEY, Spill, repeated, runs

log = logging.getLogger(__name__)

SPAN = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("spans", pa.list_(pa.field("item", SPAN, nullable=False)), nullable=False),
    ]
)

_LINE = np.dtype([(KEY, "<u8"), ("rank", "<i8"), ("line", "<i8")])


class Settings(Model):
    """``preference`` lists the sources, best first; ``shards`` says how many each has."""

    unit: Literal["paragraph", "line"]
    preference: list[Name]
    shards: dict[Name, Annotated[int, Field(gt=0)]]


def repeats(
    corpus: Corpus, lines: Mapping[Key, Artifact], dropped: NDArray[np.bool_], scratch: Path
) -> NDArray[np.bool_]:
    """Return of each line, numbered by shard and row, whether a better place holds it too."""
    spill = Spill(scratch / "lines", _LINE)
    count = 0
    for shard in corpus.shards:
        for batch in tables.batches(_lines(lines, shard), ["row", "hash"]):
            documents = shard.start + batch.column("row").to_numpy()
            records = np.empty(len(batch), _LINE)
            records[KEY] = batch.column("hash").to_numpy()
            records["rank"] = corpus.rank[documents]
            records["line"] = np.arange(count, count + len(batch))
            spill.add(records[~dropped[documents]])
            count += len(batch)
    result = np.zeros(count, np.bool_)
    for part in spill.parts():
        equal = part[repeated(part[KEY])]
        equal = equal[np.lexsort((equal["line"], equal["rank"], equal[KEY]))]
        result[equal["line"]] = True
        result[equal["line"][runs(equal[KEY])[:-1]]] = False
    return result


def build(
    draft: Draft,
    signatures: Mapping[Key, Artifact],
    lines: Mapping[Key, Artifact],
    duplicates: Artifact,
    settings: Settings,
) -> None:
    """Write ``{source}.parquet`` for each source."""
    corpus = Corpus.load(signatures, settings.preference, settings.shards)
    scratch = draft.folder / "scratch"
    repeat = repeats(corpus, lines, _dropped(corpus, duplicates), scratch)
    shutil.rmtree(scratch)
    at = 0
    for source in settings.preference:
        counts = dict.fromkeys(("documents", "spans", "characters"), 0)
        path = draft.path(f"{source}.parquet")
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for shard in corpus.of(source):
                found = tables.read(_lines(lines, shard), ["row", "start", "end"])
                cut = found.filter(pa.array(repeat[at : at + found.num_rows]))
                at += found.num_rows
                table = _spans(corpus, shard, cut, f"duplicate_{settings.unit}")
                writer.write_table(table, row_group_size=tables.ROW_GROUP_ROWS)
                _count(counts, table.column("spans").combine_chunks())
        draft.counts[source] = counts


def _lines(lines: Mapping[Key, Artifact], shard: Shard) -> Path:
    return lines[shard.source, shard.number].member("lines.parquet")


def _dropped(corpus: Corpus, duplicates: Artifact) -> NDArray[np.bool_]:
    """Return which documents are dropped; raises UserError unless the tables are those of these."""
    dropped = np.zeros(len(corpus), np.bool_)
    for source in {shard.source for shard in corpus.shards}:
        path = duplicates.member(f"{source}.parquet")
        verdicts = tables.read(path, ["id", "kind"])
        documents = np.concatenate(
            [np.arange(shard.start, shard.start + shard.documents) for shard in corpus.of(source)]
        )
        tables.check_aligned(verdicts, corpus.ids[documents].tolist(), path)
        dropped[documents] = verdicts.column("kind").is_valid().to_numpy()
    return dropped


def _spans(corpus: Corpus, shard: Shard, cut: pa.Table, kind: str) -> pa.Table:
    """Return a row for each training document of a shard, with the spans cut from it."""
    rows = cut.column("row").to_numpy()
    cut = cut.slice(0, int(np.searchsorted(rows, shard.documents)))  # held-out rows come last
    offsets = np.searchsorted(rows[: len(cut)], np.arange(shard.documents + 1))
    columns = [cut.column("start").combine_chunks(), cut.column("end").combine_chunks()]
    structs = pa.StructArray.from_arrays(
        [*columns, pa.array([kind] * len(cut), pa.string())], fields=list(SPAN)
    )
    spans = pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)), structs, type=SCHEMA.field("spans").type
    )
    ids = corpus.ids[shard.start : shard.start + shard.documents]
    numbers = np.full(shard.documents, shard.number, np.int32)
    return pa.table([pa.array(numbers), pa.array(ids), spans], schema=SCHEMA)


def _count(counts: dict[str, int], spans: pa.ListArray) -> None:
    cut = spans.flatten()
    lengths = cut.field("end").to_numpy() - cut.field("start").to_numpy()
    counts["documents"] += len(spans)
    counts["spans"] += len(cut)
    counts["characters"] += int(lengths.sum())


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    keys = [(source, shard) for source, count in settings.shards.items() for shard in range(count)]
    signatures = {key: layout.signatures(*key) for key in keys}
    lines = {key: layout.lines(*key) for key in keys}
    artifact = make(
        lambda draft: build(
            draft,
            {key: Artifact.load(path) for key, path in signatures.items()},
            {key: Artifact.load(path) for key, path in lines.items()},
            Artifact.load(layout.duplicates()),
            settings,
        ),
        output=layout.duplicate_lines(),
        module="scripts.deduplicate.repeated_lines",
        settings=settings.model_dump(mode="json"),
        inputs=[*signatures.values(), *lines.values(), layout.duplicates()],
    )
    for source, counts in artifact.counts.items():
        log.info(
            "%s: %s %ss of %s documents were there before, %s characters",
            source,
            f"{counts['spans']:,}",
            settings.unit,
            f"{counts['documents']:,}",
            f"{counts['characters']:,}",
        )


if __name__ == "__main__":
    run(main)
