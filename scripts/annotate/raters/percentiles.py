"""Scores as percentiles among the documents of the same domain and language.

Raters have scales of their own; percentiles are comparable. A group's distribution is that of a
sample by the hash of the documents' ids: exact up to its size, beyond it within about half a
percent, and the same whatever the shards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.attributes import LANGUAGE, artifact_of
from scripts.common.hash_sample import HashSample

SAMPLE_ROWS = 50_000  # of a group
MIN_ROWS = 100  # a language with fewer documents in its domain is ranked among all of the domain

Group = tuple[str, str | None]  # domain, language (None: all)


@dataclass(frozen=True)
class Scores:
    """A shard's scores by several raters, float64 [documents, raters], and its languages."""

    ids: NDArray[np.int64]
    languages: NDArray[np.object_]
    scores: NDArray[np.float64]


def paths(source: str, shard: int, raters: Iterable[str]) -> list[Path]:
    """Return the content records that ``read_scores`` reads."""
    columns = (LANGUAGE, *raters)
    return [layout.attributes(source, artifact_of(name), shard) for name in columns]


def read_scores(source: str, shard: int, raters: Sequence[str]) -> Scores:
    """Read a shard's scores; raises UserError if they are not of the same documents."""
    languages = _column(source, shard, LANGUAGE)
    ids = languages.column("id").to_numpy()
    columns = [np.empty((len(ids), 0))]
    for rater in raters:
        table = _column(source, shard, rater)
        tables.check_aligned(table, ids.tolist(), layout.attributes(source, rater, shard))
        columns.append(table.column(rater).to_numpy()[:, None])
    named = np.array(languages.column(LANGUAGE).to_pylist(), dtype=object)
    return Scores(ids, named, np.concatenate(columns, axis=1))


def _column(source: str, shard: int, name: str) -> pa.Table:
    content = layout.attributes(source, artifact_of(name), shard)
    return tables.read(Artifact.load(content).member("attributes.parquet"), ["id", name])


class Sampler:
    """Collects each group's sample from shards in any order."""

    def __init__(self) -> None:
        self._groups: dict[Group, HashSample] = {}

    def add(self, domain: str, shard: Scores) -> None:
        """Take a shard's documents, but those that a rater has no score for."""
        known = ~np.isnan(shard.scores).any(axis=1)
        ids, scores, languages = shard.ids[known], shard.scores[known], shard.languages[known]
        self._of(domain, None).add(ids, scores)
        for language in sorted(set(languages.tolist())):
            here = languages == language
            self._of(domain, language).add(ids[here], scores[here])

    def _of(self, domain: str, language: str | None) -> HashSample:
        return self._groups.setdefault((domain, language), HashSample(SAMPLE_ROWS, "percentiles"))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the documents of each domain by language, those of rare ones as one."""
        counts: dict[str, dict[str, int]] = {}
        for (domain, language), sample in sorted(self._groups.items(), key=_by_name):
            if language is not None:
                told = language if sample.seen >= MIN_ROWS else "rare"
                of_domain = counts.setdefault(domain, {})
                of_domain[told] = of_domain.get(told, 0) + sample.seen
        return counts

    def table(self, raters: Sequence[str]) -> pa.Table:
        """Return domain, language (null: all) and a column for each rater, a row per document."""
        schema = pa.schema(
            [
                pa.field("domain", pa.string(), nullable=False),
                pa.field("language", pa.string()),
                *(pa.field(rater, pa.float64(), nullable=False) for rater in raters),
            ]
        )
        parts = [schema.empty_table()]
        for (domain, language), sample in sorted(self._groups.items(), key=_by_name):
            if language is None or sample.seen >= MIN_ROWS:
                rows = sample.rows()
                values = {rater: rows[:, place] for place, rater in enumerate(raters)}
                groups = {"domain": [domain] * len(rows), "language": [language] * len(rows)}
                parts.append(pa.table({**groups, **values}, schema=schema))
        return pa.concat_tables(parts)


def _by_name(entry: tuple[Group, HashSample]) -> tuple[str, str]:
    (domain, language), _ = entry
    return domain, language or ""


@dataclass(frozen=True)
class Percentiles:
    """Each group's scores, float64 [raters, rows], every rater's sorted."""

    groups: Mapping[Group, NDArray[np.float64]]

    @classmethod
    def of_table(cls, table: pa.Table, raters: Sequence[str]) -> "Percentiles":
        """Sort what ``Sampler.table`` returned, whose groups are stretches of rows."""
        values = np.array([table.column(rater).to_numpy() for rater in raters])
        domains, languages = (_stretches(table.column(name)) for name in ("domain", "language"))
        starts = np.union1d(domains, languages).tolist()
        groups = {}
        for low, high in zip(starts, [*starts[1:], table.num_rows], strict=False):
            key = table.column("domain")[low].as_py(), table.column("language")[low].as_py()
            groups[key] = np.sort(values[:, low:high], axis=1)
        return cls(groups)

    def of(self, domain: str, shard: Scores) -> NDArray[np.float64]:
        """Return the percentile of each score, float64 [documents, raters] in [0, 1].

        It is the share of the group's scores below it and half of those equal to it. NaN stays NaN.
        """
        ranked = np.full(shard.scores.shape, np.nan)
        for language in sorted(set(shard.languages.tolist())):
            here = np.flatnonzero(shard.languages == language)
            group = self.groups.get((domain, language), self.groups.get((domain, None)))
            if group is None:  # no document of the domain has a score by all raters
                continue
            for rater, values in enumerate(group):
                scores = shard.scores[here, rater]
                low = np.searchsorted(values, scores, side="left")
                high = np.searchsorted(values, scores, side="right")
                ranked[here, rater] = (low + high) / (2 * len(values))
        ranked[np.isnan(shard.scores)] = np.nan
        return ranked


def _stretches(column: pa.ChunkedArray) -> NDArray[np.intp]:
    """Return where a column's stretches of equal values begin, nulls being equal."""
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    return np.flatnonzero(np.diff(codes, prepend=-2))
