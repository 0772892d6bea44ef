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
    size, licenses, fates = 0, Counter[str](), Counter[str]()
    for shard in range(shards):
        documents = Artifact.load(layout.documents(source, shard))
        size += documents.counts["bytes"]
        licenses += _licenses(documents)
        selection = Artifact.load(layout.selection(source, shard)).counts
        fates += Counter(selection["dropped"])
        fates += Counter(
            {
                KEPT: selection["kept"],
                HELD_OUT: documents.counts["heldout"],
                QUARANTINED: documents.counts["quarantined"],
            }
        )
    return Intake(source, domain, size, dict(_ranked(licenses)), dict(fates))


def _licenses(documents: Artifact) -> Counter[str]:
    table = tables.read(documents.member("documents.parquet"), ["license"])
    return Counter(
        {
            entry["values"] or _NOT_STATED: entry["counts"]
            for entry in pc.value_counts(table.column("license")).to_pylist()
        }
    )


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the entries by frequency, equals by name."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def fates(intakes: Sequence[Intake]) -> list[str]:
    """Return every fate that befell a document: kept first, then reasons by frequency."""
    total: Counter[str] = Counter()
    for intake in intakes:
        total += Counter(intake.fates)
    reasons = [name for name, _ in _ranked(total) if name not in (KEPT, HELD_OUT, QUARANTINED)]
    return [KEPT, *reasons, *(name for name in (HELD_OUT, QUARANTINED) if total[name])]
