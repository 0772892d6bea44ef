"""What decontamination found, and how much of what was planted its rules find."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scripts.common import layout, tables
from scripts.common.artifact import Artifact

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Hits:
    """Training documents of a source that hold items of a benchmark, by one rule."""

    source: str
    benchmark: str
    rule: str
    documents: int
    items: int
    excerpt: str  # of the best match


@dataclass(frozen=True)
class Tradeoff:
    """The share of planted copies found, and of texts without any, by threshold."""

    recall: Curve
    false_positives: Curve


@dataclass(frozen=True)
class Planted:
    """What the rules find, as they are configured and over thresholds.

    ``recall`` by rule and kind of copy, ``false_positives`` by rule and set of negatives: shares,
    None of nothing.
    """

    recall: Mapping[str, Mapping[str, float | None]]
    false_positives: Mapping[str, Mapping[str, float | None]]
    tradeoffs: Mapping[str, Tradeoff]


def read_hits(source: str, shards: int) -> list[Hits]:
    """Count a source's hits by benchmark and rule."""
    read = [
        tables.read(
            Artifact.load(layout.attributes(source, "contamination", shard)).member("hits.parquet")
        )
        for shard in range(shards)
    ]
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for hit in pa.concat_tables(read).to_pylist():
        grouped[hit["benchmark"], hit["rule"]].append(hit)
    return [
        Hits(
            source,
            benchmark,
            rule,
            documents=len({hit["id"] for hit in hits}),
            items=len({hit["item"] for hit in hits}),
            excerpt=min(hits, key=lambda hit: (-hit["score"], hit["id"], hit["item"]))["excerpt"],
        )
        for (benchmark, rule), hits in sorted(grouped.items())
    ]


def read_planted() -> Planted:
    """Read the measurement of the rules."""
    artifact = Artifact.load(layout.contamination_planted())
    recall = _curves(tables.read(artifact.member("recall.parquet")), "copies")
    negatives = _curves(tables.read(artifact.member("false_positives.parquet")), "texts")
    return Planted(
        artifact.counts["recall"],
        artifact.counts["false_positives"],
        {rule: Tradeoff(recall[rule], negatives[rule]) for rule in recall if rule in negatives},
    )


def _curves(table: pa.Table, number: str) -> dict[str, Curve]:
    """Return (threshold, share found) by rule, all kinds together; without rules of nothing."""
    sums: dict[str, dict[float, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in table.to_pylist():
        if row["threshold"] is not None:
            cell = sums[row["rule"]][row["threshold"]]
            cell[0] += row["found"]
            cell[1] += row[number]
    return {
        rule: [(threshold, found / of) for threshold, (found, of) in sorted(cells.items())]
        for rule, cells in sums.items()
        if all(of for _, of in cells.values())
    }
