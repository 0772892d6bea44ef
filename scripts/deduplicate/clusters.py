"""Cluster all documents that are the same or nearly the same, and name the one of each to keep.

Kept is the preferred document of a cluster: a held-out one before any other, then one of an earlier
source in the preference, then the one with the lower id. A member ``{source}.parquet`` says for
each training document, by shard and row, whether it is dropped and why (``kind``, null if it is
kept: ``heldout`` if its keeper is held out, else ``exact`` if it has the keeper's text, else
``fuzzy``) and for which ``keeper``. The order of jobs and the number of shards change no document's
fate; all signatures are held in memory, at most about 1.2 kB a document.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.deduplicate.lsh import fuzzy_roots
from scripts.deduplicate.signatures import MINHASH_ITEM, schema

log = logging.getLogger(__name__)

KINDS = ("exact", "fuzzy", "heldout")
_EXACT, _FUZZY, _HELDOUT = range(len(KINDS))
_KEPT = -1

SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),  # null where kept
        pa.field("keeper", pa.int64()),  # null where kept
    ]
)


class Settings(Model):
    """``preference`` lists the sources, best first; ``shards`` says how many each has."""

    bands: Annotated[int, Field(gt=0)]
    rows: Annotated[int, Field(gt=0)]
    preference: list[Name]
    shards: dict[Name, Annotated[int, Field(gt=0)]]


@dataclass(frozen=True)
class Signatures:
    """The signatures of many documents: arrays with a row for each, by source, shard and row.

    source: int64, index into the preference. shard: int32. id: int64. heldout: bool. exact: uint64
    [documents, 2]. minhash: uint32 [documents, permutations], void where wordless: bool.
    """

    source: NDArray[np.int64]
    shard: NDArray[np.int32]
    id: NDArray[np.int64]
    heldout: NDArray[np.bool_]
    exact: NDArray[np.uint64]
    minhash: NDArray[np.uint32]
    wordless: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdicts:
    """For each row of ``Signatures``: an index into KINDS or _KEPT, and its cluster's best row."""

    kind: NDArray[np.int8]
    keeper: NDArray[np.int64]


def load(signatures: Mapping[tuple[str, int], Artifact], settings: Settings) -> Signatures:
    """Read the signatures of all shards, (source, shard), in the order of the preference.

    Raises UserError for a table that was signed with another number of permutations.
    """
    keys = [
        (source, shard)
        for source in settings.preference
        for shard in range(settings.shards[source])
    ]
    files = [signatures[key].member("signatures.parquet") for key in keys]
    tables_read = [tables.read(file) for file in files]
    expected = schema(settings.bands * settings.rows)
    for file, table in zip(files, tables_read, strict=True):
        if not table.schema.equals(expected):
            raise UserError(
                f"{file} does not have {settings.bands * settings.rows} permutations "
                "(deduplicate.bands times rows): delete its content.json and run Snakemake again"
            )
    rows = [table.num_rows for table in tables_read]
    whole = pa.concat_tables(tables_read)
    sources = [settings.preference.index(source) for source, _ in keys]
    return Signatures(
        source=np.repeat(np.array(sources, np.int64), rows),
        shard=np.repeat(np.array([shard for _, shard in keys], np.int32), rows),
        id=whole.column("id").to_numpy(),
        heldout=whole.column("heldout").to_numpy(),
        exact=_fixed_binary(whole.column("exact"), np.dtype("<u8")),
        minhash=_fixed_binary(whole.column("minhash"), MINHASH_ITEM),
        wordless=whole.column("minhash").is_null().to_numpy(),
    )


def judge(signatures: Signatures, settings: Settings) -> Verdicts:
    """Cluster the documents; say for each which one is its cluster's keeper and of what kind."""
    # From here on a document's number is its place in the preference: the lowest is the best. The
    # sort is stable: copies with one id, which no preference tells apart, stay by shard and row.
    ranked = np.lexsort((signatures.id, signatures.source, ~signatures.heldout))
    first_of_text = _first_equal(signatures.exact[ranked])
    number = np.arange(len(ranked))
    compared = np.flatnonzero((first_of_text == number) & ~signatures.wordless[ranked])
    minhashes = np.ascontiguousarray(signatures.minhash[ranked[compared]])
    roots = number.copy()
    roots[compared] = compared[fuzzy_roots(minhashes, settings.bands, settings.rows)]
    roots = roots[first_of_text]
    kind = np.where(first_of_text == roots, _EXACT, _FUZZY)
    kind[signatures.heldout[ranked[roots]]] = _HELDOUT
    kind[roots == number] = _KEPT
    verdicts = Verdicts(np.empty(len(ranked), np.int8), np.empty(len(ranked), np.int64))
    verdicts.kind[ranked] = kind
    verdicts.keeper[ranked] = ranked[roots]
    return verdicts


def build(draft: Draft, artifacts: Mapping[tuple[str, int], Artifact], settings: Settings) -> None:
    """Write ``{source}.parquet`` for each source."""
    signatures = load(artifacts, settings)
    verdicts = judge(signatures, settings)
    for index, source in enumerate(settings.preference):
        rows = np.flatnonzero((signatures.source == index) & ~signatures.heldout)
        kinds = verdicts.kind[rows]
        kept = kinds == _KEPT
        names = pa.array(KINDS).take(pa.array(kinds, mask=kept))
        keepers = pa.array(signatures.id[verdicts.keeper[rows]], mask=kept)
        columns = [pa.array(signatures.shard[rows]), pa.array(signatures.id[rows]), names, keepers]
        tables.write(pa.table(columns, schema=SCHEMA), draft.path(f"{source}.parquet"))
        draft.counts[source] = {
            "documents": len(rows),
            **{kind: int((kinds == code).sum()) for code, kind in enumerate(KINDS)},
        }


def _fixed_binary(column: pa.ChunkedArray, item: np.dtype) -> NDArray:
    """Return a column of fixed-size binary as an array [rows, items]; nulls hold any bytes."""
    width = column.type.byte_width
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
        for chunk in column.chunks
        if len(chunk)
    ]
    flat = np.concatenate([np.empty(0, np.uint8), *chunks])
    return flat.view(item).reshape(len(column), width // item.itemsize)


def _first_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return, for each row of ``values`` [rows, 2], the index of the first row equal to it."""
    order = np.lexsort((values[:, 1], values[:, 0]))  # stable: equal rows stay in order
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)][: len(order)])
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[starts], np.diff(np.r_[starts, len(order)]))
    return first


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    inputs = {
        (source, shard): layout.signatures(source, shard)
        for source, shards in settings.shards.items()
        for shard in range(shards)
    }
    artifact = make(
        lambda draft: build(
            draft, {key: Artifact.load(path) for key, path in inputs.items()}, settings
        ),
        output=layout.duplicates(),
        module="scripts.deduplicate.clusters",
        settings=settings.model_dump(mode="json"),
        inputs=inputs.values(),
    )
    for source, counts in artifact.counts.items():
        dropped = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS)
        log.info("%s: of %s documents dropped %s", source, f"{counts['documents']:,}", dropped)


if __name__ == "__main__":
    run(main)
