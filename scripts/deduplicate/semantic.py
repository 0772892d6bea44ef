"""Join documents that are near in meaning: SemDeDup (Abbas et al. 2023, arXiv:2303.09540).

The embeddings of all documents are clustered by k-means; within a cluster, those documents whose
embeddings have at least the threshold's cosine are joined. The member ``roots.npy``, int64
[documents, 1], says for each document, by source of the preference, shard and row, which is the
best that it is joined with, itself included.
"""

import itertools
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.deduplicate import kmeans, rows_file
from scripts.deduplicate.corpus import Corpus, Gatherer, Key
from scripts.deduplicate.lsh import Clusters
from scripts.deduplicate.rows_file import EMBEDDING_ITEM, ROOT_ITEM
from scripts.deduplicate.spill import KEY, Spill, runs

log = logging.getLogger(__name__)

_ROWS = 1 << 14  # embeddings read at a time
_BLOCK = 1024  # documents that are compared with as many others at a time
_SLACK = 1e-3  # more than a float32 product of embeddings errs by
_MEMBER = np.dtype([(KEY, "<u8"), ("document", "<i8")])


class Settings(Model):
    """``preference`` lists the sources, best first; ``shards`` says how many each has."""

    clusters: Annotated[int, Field(gt=0)]
    threshold: Annotated[float, Field(gt=0, le=1)]
    seed: int
    preference: list[Name]
    shards: dict[Name, Annotated[int, Field(gt=0)]]


def join_near(
    corpus: Corpus, arrays: list[NDArray[np.float16]], settings: Settings, scratch: Path
) -> tuple[Clusters, list[int]]:
    """Join near documents; return the clusters that result, and the sizes of those of k-means."""
    clusters = Clusters(corpus.rank)
    gather = Gatherer(corpus.shards, arrays)
    if not len(corpus):
        return clusters, []
    by_rank = np.empty(len(corpus), np.int64)
    by_rank[corpus.rank] = np.arange(len(corpus))

    def ranked(places: NDArray[np.int64]) -> NDArray:
        return gather.in_any_order(by_rank[places])

    centres = kmeans.train(ranked, len(corpus), settings.clusters, settings.seed)
    spread = np.uint64((2**64 - 1) // len(centres))  # keys over the whole range
    spill = Spill(scratch / "members", _MEMBER)
    for shard, array in zip(corpus.shards, arrays, strict=True):
        for start in range(0, shard.rows, _ROWS):
            near = kmeans.nearest(array[start : start + _ROWS], centres)
            records = np.empty(len(near), _MEMBER)
            records[KEY] = near.astype(np.uint64) * spread
            records["document"] = np.arange(len(near)) + shard.start + start
            spill.add(records)
    sizes = []
    for part in spill.parts():
        part = part[np.lexsort((corpus.rank[part["document"]], part[KEY]))]
        bounds = runs(part[KEY])
        sizes += np.diff(bounds).tolist()
        for start, end in itertools.pairwise(bounds):
            members = np.ascontiguousarray(part["document"][start:end])
            _join_members(members, gather, clusters, settings.threshold)
    return clusters, sizes


def _join_members(
    members: NDArray[np.int64], gather: Gatherer, clusters: Clusters, threshold: float
) -> None:
    """Join the near documents of a cluster: all pairs, a block against a block at a time."""
    blocks = [members[start : start + _BLOCK] for start in range(0, len(members), _BLOCK)]
    for number, block in enumerate(blocks):
        vectors = gather.in_any_order(block).astype(np.float32)
        for other in blocks[number:]:
            same = other is block
            others = vectors if same else gather.in_any_order(other).astype(np.float32)
            near = vectors @ others.T >= threshold - _SLACK
            rows, columns = np.nonzero(np.triu(near, 1) if same else near)
            clusters.join_near(block, other, vectors, others, (rows, columns), threshold)


def build(
    draft: Draft,
    signatures: Mapping[Key, Artifact],
    embeddings: Mapping[Key, Artifact],
    settings: Settings,
) -> None:
    """Write ``roots.npy``."""
    corpus = Corpus.load(signatures, settings.preference, settings.shards)
    artifacts = [embeddings[shard.source, shard.number] for shard in corpus.shards]
    arrays = [
        rows_file.mapped(
            artifact.member("embeddings.npy"),
            shard.rows,
            artifact.counts["dimensions"],
            EMBEDDING_ITEM,
        )
        for shard, artifact in zip(corpus.shards, artifacts, strict=True)
    ]
    scratch = draft.folder / "scratch"
    clusters, sizes = join_near(corpus, arrays, settings, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    roots = clusters.roots()
    with rows_file.writing(draft.path("roots.npy"), len(corpus), 1, ROOT_ITEM) as append:
        append(roots[:, None])
    draft.counts = {
        "clusters": len(sizes),
        "documents": len(corpus),
        "joined": int((roots != np.arange(len(corpus))).sum()),
        "largest_cluster": max(sizes, default=0),
        "truncated": sum(artifact.counts["truncated"] for artifact in artifacts),
    }


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    keys = [(source, shard) for source, count in settings.shards.items() for shard in range(count)]
    signatures = {key: layout.signatures(*key) for key in keys}
    embeddings = {key: layout.embeddings(*key) for key in keys}
    artifact = make(
        lambda draft: build(
            draft,
            {key: Artifact.load(path) for key, path in signatures.items()},
            {key: Artifact.load(path) for key, path in embeddings.items()},
            settings,
        ),
        output=layout.semantic_clusters(),
        module="scripts.deduplicate.semantic",
        settings=settings.model_dump(mode="json"),
        inputs=[*signatures.values(), *embeddings.values()],
    )
    counts = artifact.counts
    log.info(
        "of %s documents %s were joined with a better one; of %s clusters the largest had %s; "
        "%s documents were read in part",
        *(f"{counts[key]:,}" for key in ("documents", "joined", "clusters", "largest_cluster")),
        f"{counts['truncated']:,}",
    )


if __name__ == "__main__":
    run(main)
