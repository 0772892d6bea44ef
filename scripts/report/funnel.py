"""What went in and what stayed: documents by source, licence and fate."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from scripts.common import layout, tables
from scripts.common.artifact import Artifact

KEPT, HELD_OUT, QUARANTINED = "kept", "held out", "quarantined"
_NOT_STATED = "not stated"


@dataclass(frozen=True)
class Intake:
    """One source: what was collected from it and what became of each document."""

    source: str
    domain: str
    bytes: int
    licenses: Mapping[str, int]  # documents by licence, most frequent first
    fates: Mapping[str, int]  # documents by reason, KEPT, HELD_OUT or QUARANTINED

    @property
    def collected(self) -> int:
        return sum(self.fates.values())

    @property
    def kept(self) -> int:
        return self.fates.get(KEPT, 0)

    def leading_licenses(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the most frequent licences with their share of documents, the rest as one."""
        total = sum(self.licenses.values())
        ranked = list(self.licenses.items())
        shares = [(name, number / total) for name, number in ranked[:count]]
        if rest := sum(number for _, number in ranked[count:]):
            shares.append((f"{len(ranked) - count} others", rest / total))
        return shares


def read_intake(source: str, domain: str, shards: int) -> Intake:
    """Add up a source's shards from its documents and selections."""
    bytes_, licenses, fates = 0, Counter[str](), Counter[str]()
    for shard in range(shards):
        documents = Artifact.load(layout.documents(source, shard))
        bytes_ += documents.counts["bytes"]
        fates[HELD_OUT] += documents.counts["heldout"]
        fates[QUARANTINED] += documents.counts["quarantined"]
        licenses += _values(documents, "documents.parquet", "license", _NOT_STATED)
        selection = Artifact.load(layout.selection(source, shard))
        fates += _values(selection, "selection.parquet", "reason", KEPT)
    return Intake(source, domain, bytes_, dict(licenses.most_common()), dict(fates))


def _values(artifact: Artifact, member: str, column: str, null: str) -> Counter[str]:
    """Count the values of a column, with the sum's ties in the order of the names."""
    values = pc.value_counts(tables.read(artifact.member(member), [column]).column(column))
    counted = {
        null if entry["values"] is None else entry["values"]: entry["counts"]
        for entry in values.to_pylist()
    }
    return Counter(dict(sorted(counted.items())))


def fates(intakes: Sequence[Intake]) -> list[str]:
    """Return every fate that befell a document: kept first, then reasons by frequency."""
    total: Counter[str] = Counter()
    for intake in intakes:
        total += Counter(intake.fates)
    reasons = sorted(
        (name for name in total if name not in (KEPT, HELD_OUT, QUARANTINED)),
        key=lambda name: (-total[name], name),
    )
    return [KEPT, *reasons, *(name for name in (HELD_OUT, QUARANTINED) if total[name])]
