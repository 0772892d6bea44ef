"""A bounded sample of the selected documents, the same whatever the shards and their order."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scripts.common import edits
from scripts.common.artifact import Artifact
from scripts.common.keyed_hash import keyed_hash
from scripts.tokenize.selected import read_edits, read_kept

_KEY = "tokenizer"
_HASHES = 2.0**64
_FLOOR = 0.1  # of an equal share: what a source gets however small it is beside the others

Shard = tuple[Artifact, Artifact]  # its documents and its selection


def budgets(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share ``total`` bytes among sources by their ``sizes`` in bytes, with a floor for each.

    A source gets no more than it has; the sum is at most ``total``.
    """
    if sum(sizes.values()) <= total:
        return dict(sizes)
    floor = int(_FLOOR * total / len(sizes))
    base = {source: min(size, floor) for source, size in sizes.items()}
    left, wanted = total - sum(base.values()), sum(sizes.values()) - sum(base.values())
    return {
        source: base[source] + left * (size - base[source]) // wanted
        for source, size in sizes.items()
    }


def sample(shards: Mapping[str, Sequence[Shard]], total_bytes: int) -> Iterator[str]:
    """Yield at most ``total_bytes`` (UTF-8) of selected texts, source by source.

    A document is in by the hash of its id. Sizes of sources are estimated from the counts of their
    artifacts, so that texts are read once, and only row groups that hold a sampled document.
    """
    sizes = {source: _selected_bytes(parts) for source, parts in sorted(shards.items())}
    left = total_bytes
    for source, budget in budgets(sizes, total_bytes).items():
        if budget:
            whole = budget == sizes[source]  # the estimate of its size must then not cut it short
            texts = _sample_source(
                shards[source], left if whole else min(budget, left), budget / sizes[source]
            )
            left -= sum(map(_size, texts))
            yield from texts


def _size(text: str) -> int:
    return len(text.encode())


def _selected_bytes(shards: Sequence[Shard]) -> int:
    """Estimate the bytes of text that selection keeps, by its share of the documents."""
    documents = sum(documents.counts["documents"] for documents, _ in shards)
    kept = sum(selection.counts["kept"] for _, selection in shards)
    size = sum(documents.counts["bytes"] for documents, _ in shards)
    return -(-size * kept // documents) if documents else 0


def _sample_source(shards: Sequence[Shard], budget: int, fraction: float) -> list[str]:
    tables_by_shard = [
        _candidates(documents, selection, fraction) for documents, selection in shards
    ]
    candidates = pa.concat_tables(tables_by_shard).sort_by("hash")
    ends = np.cumsum(pc.binary_length(candidates["text"]).to_numpy())
    within = int(np.searchsorted(ends, budget, side="right"))
    return candidates["text"][:within].to_pylist()


def _candidates(documents: Artifact, selection: Artifact, fraction: float) -> pa.Table:
    """Return hash and edited text of selected documents that ``fraction`` of the hashes lets in."""
    kept, column = read_kept(documents, selection), read_edits(selection)
    path = documents.member("documents.parquet")
    groups = [
        pa.table({"hash": pa.array([], pa.uint64()), "text": pa.array([], pa.large_string())})
    ]
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            ids = file.read_row_group(group, columns=["id"])["id"].to_numpy()
            hashes = keyed_hash(ids, _KEY)
            chosen = kept[first : first + rows] & (hashes < fraction * _HASHES)
            if chosen.any():
                text = file.read_row_group(group, columns=["text"])["text"]
                mask = pa.array(chosen)
                edited = edits.apply_all(text.filter(mask), column.slice(first, rows).filter(mask))
                texts = pa.array(edited, pa.large_string())
                groups.append(pa.table({"hash": hashes[chosen], "text": texts}))
            first += rows
    return pa.concat_tables(groups)
