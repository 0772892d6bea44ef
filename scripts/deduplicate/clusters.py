"""Cluster all documents that are the same or nearly the same, and name the one of each to keep.

Kept is the preferred document of a cluster: a held-out one before any other, then one of an earlier
source in the preference, then the one with the lower id. A member ``{source}.parquet`` says for
each training document, by shard and row, whether it is dropped and why (``kind``, null if it is
kept: ``heldout`` if its keeper is held out, else ``exact`` if it has the keeper's text, else
``fuzzy`` or, where only embeddings tell, ``semantic``) and for which ``keeper``. The order of jobs
and the number of shards change no document's fate.

In memory are a few numbers for each document, under 100 bytes, and a part of one band's hashes; the
others wait on disk, as do the signatures, which are looked at where documents share a band.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.deduplicate import rows_file
from scripts.deduplicate.corpus import Corpus, Gatherer, Key
from scripts.deduplicate.lsh import CROWDED, Clusters, band_keys, matches_required
from scripts.deduplicate.rows_file import MINHASH_ITEM, ROOT_ITEM
from scripts.deduplicate.spill import KEY, Spill, repeated, runs

log = logging.getLogger(__name__)

KINDS = ("exact", "fuzzy", "semantic", "heldout")
_EXACT, _FUZZY, _SEMANTIC, _HELDOUT = range(len(KINDS))
_KEPT = -1

SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),  # null where kept
        pa.field("keeper", pa.int64()),  # null where kept
    ]
)

_ROWS = 16 * tables.ROW_GROUP_ROWS  # read or written at a time
_TEXT = np.dtype([(KEY, "<u8"), ("rest", "<u8"), ("document", "<i8")])  # key, rest: exact hash
_BAND = np.dtype([(KEY, "<u8"), ("document", "<i8")])


class Settings(Model):
    """``preference`` lists the sources, best first; ``shards`` says how many each has."""

    bands: Annotated[int, Field(gt=0)]
    rows: Annotated[int, Field(gt=0)]
    permutations: Annotated[int, Field(gt=0)]
    threshold: Annotated[float, Field(gt=0, le=1)]
    semantic: bool
    preference: list[Name]
    shards: dict[Name, Annotated[int, Field(gt=0)]]


def join_copies(corpus: Corpus, clusters: Clusters, scratch: Path) -> NDArray[np.bool_]:
    """Join documents of one text; return which documents are to be compared by their words.

    These are the best document of each text, unless it is without words.
    """
    spill = Spill(scratch / "texts", _TEXT)
    compared = np.zeros(len(corpus), np.bool_)
    for shard in corpus.shards:
        at = shard.start
        for batch in tables.batches(shard.signatures, ["exact", "wordless"]):
            records = np.empty(len(batch), _TEXT)
            records[KEY], records["rest"] = _halves(batch.column("exact")).T
            records["document"] = np.arange(at, at + len(batch))
            compared[at : at + len(batch)] = ~batch.column("wordless").to_numpy(False)
            spill.add(records)
            at += len(batch)
    for part in spill.parts():
        copies = part[repeated(part[KEY])]
        copies = copies[np.lexsort((copies["rest"], copies[KEY]))]
        bounds = runs(copies[KEY], copies["rest"])
        first = np.repeat(bounds[:-1], np.diff(bounds))
        documents = np.ascontiguousarray(copies["document"])
        clusters.join(documents, documents[first])
    return compared & (clusters.roots() == np.arange(len(corpus)))


def join_near_copies(
    corpus: Corpus,
    clusters: Clusters,
    minhashes: list[NDArray[np.uint32]],
    compared: NDArray[np.bool_],
    settings: Settings,
    scratch: Path,
) -> int:
    """Join documents whose MinHashes are similar; return how many buckets were too crowded.

    The signatures are read once, for all bands: their hashes go to disk, where each band's are
    sorted by themselves.
    """
    spills = [Spill(scratch / f"band{band}", _BAND) for band in range(settings.bands)]
    for shard, array in zip(corpus.shards, minhashes, strict=True):
        for start in range(0, shard.rows, _ROWS):
            chosen = np.flatnonzero(compared[shard.start : shard.stop][start : start + _ROWS])
            values = np.ascontiguousarray(array[start : start + _ROWS][chosen])
            records = np.empty(len(values), _BAND)
            records["document"] = shard.start + start + chosen
            for band, spill in enumerate(spills):
                records[KEY] = band_keys(values, band, settings.rows)
                spill.add(records)
    gather = Gatherer(corpus.shards, minhashes)
    required = matches_required(settings.threshold, settings.permutations)
    return sum(
        clusters.join_buckets(part[KEY], part["document"], gather, required)
        for spill in spills
        for part in spill.parts()
    )


@dataclass(frozen=True)
class Verdicts:
    """The best document of each one's cluster, int64 [documents], after one stage and the next.

    texts: by the texts alone. words: by MinHashes too. meanings: by embeddings too.
    """

    texts: NDArray[np.int64]
    words: NDArray[np.int64]
    meanings: NDArray[np.int64]

    def kinds(self, corpus: Corpus, documents: slice) -> NDArray[np.int8]:
        """Return, for some documents, an index into KINDS or _KEPT."""
        keepers = self.meanings[documents]
        kinds = np.full(len(keepers), _SEMANTIC, np.int8)
        kinds[self.words[documents] == keepers] = _FUZZY
        kinds[self.texts[documents] == keepers] = _EXACT
        kinds[corpus.rank[keepers] < corpus.heldout] = _HELDOUT
        kinds[keepers == np.arange(documents.start, documents.stop)] = _KEPT
        return kinds


def build(
    draft: Draft,
    signatures: Mapping[Key, Artifact],
    semantic: Artifact | None,
    settings: Settings,
) -> None:
    """Write ``{source}.parquet`` for each source."""
    corpus = Corpus.load(signatures, settings.preference, settings.shards)
    minhashes = [
        rows_file.mapped(
            signatures[shard.source, shard.number].member("minhash.npy"),
            shard.rows,
            settings.permutations,
            MINHASH_ITEM,
        )
        for shard in corpus.shards
    ]
    clusters = Clusters(corpus.rank)
    scratch = draft.folder / "scratch"
    compared = join_copies(corpus, clusters, scratch)
    texts = _on_disk(clusters.roots(), scratch / "texts.npy")
    crowded = join_near_copies(corpus, clusters, minhashes, compared, settings, scratch)
    words = _on_disk(clusters.roots(), scratch / "words.npy")
    if semantic is not None:
        roots = rows_file.mapped(semantic.member("roots.npy"), len(corpus), 1, ROOT_ITEM)
        for start in range(0, len(corpus), _ROWS):
            near = np.array(roots[start : start + _ROWS, 0])
            clusters.join(np.arange(start, start + len(near)), near)
    verdicts = Verdicts(texts, words, clusters.roots())
    draft.counts["crowded_buckets"] = crowded
    draft.counts["sources"] = {
        source: _write(draft.path(f"{source}.parquet"), source, corpus, verdicts)
        for source in settings.preference
    }
    shutil.rmtree(scratch)


def _write(path: Path, source: str, corpus: Corpus, verdicts: Verdicts) -> dict[str, int]:
    """Write the verdicts on a source's documents and return their counts."""
    counts = dict.fromkeys(("documents", *KINDS), 0)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for shard in corpus.of(source):
            stop = shard.start + shard.documents
            for start in range(shard.start, stop, _ROWS):
                documents = slice(start, min(start + _ROWS, stop))
                kinds = verdicts.kinds(corpus, documents)
                kept = kinds == _KEPT
                columns = [
                    pa.array(np.full(len(kinds), shard.number, np.int32)),
                    pa.array(corpus.ids[documents]),
                    pa.array(KINDS).take(pa.array(kinds, mask=kept)),
                    pa.array(corpus.ids[verdicts.meanings[documents]], mask=kept),
                ]
                table = pa.table(columns, schema=SCHEMA)
                writer.write_table(table, row_group_size=tables.ROW_GROUP_ROWS)
                counts["documents"] += len(kinds)
                for code, kind in enumerate(KINDS):
                    counts[kind] += int((kinds == code).sum())
    return counts


def _on_disk(roots: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    """Put a copy of an array on disk and map it: it is read once, in order."""
    np.save(path, roots)
    mapped: NDArray[np.int64] = np.load(path, mmap_mode="r")
    return mapped


def _halves(column: pa.FixedSizeBinaryArray) -> NDArray[np.uint64]:
    """Return a column of 16 bytes a row as uint64 [rows, 2]."""
    values = np.frombuffer(column.buffers()[1], "<u8")
    return values[2 * column.offset :][: 2 * len(column)].reshape(-1, 2)


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    inputs = {
        (source, shard): layout.signatures(source, shard)
        for source, shards in settings.shards.items()
        for shard in range(shards)
    }
    semantic = layout.semantic_clusters() if settings.semantic else None
    artifact = make(
        lambda draft: build(
            draft,
            {key: Artifact.load(path) for key, path in inputs.items()},
            Artifact.load(semantic) if semantic else None,
            settings,
        ),
        output=layout.duplicates(),
        module="scripts.deduplicate.clusters",
        settings=settings.model_dump(mode="json"),
        inputs=[*inputs.values(), *([semantic] if semantic else [])],
    )
    for source in settings.preference:
        counts = artifact.counts["sources"][source]
        dropped = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS)
        log.info("%s: of %s documents dropped %s", source, f"{counts['documents']:,}", dropped)
    if crowded := artifact.counts["crowded_buckets"]:
        log.warning(
            "%s buckets held more than %s documents: these were compared in parts, so that some "
            "near-duplicates among them may have stayed",
            *(f"{crowded:,}", f"{CROWDED:,}"),
        )


if __name__ == "__main__":
    run(main)
