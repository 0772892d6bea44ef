"""How raters spread their scores, and how far they agree, domain by domain.

Read from a sample of documents by the hash of their ids, so that memory stays bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.config.base import Model, Name
from scripts.common.hash_sample import HashSample
from scripts.common.ranks import spearman

TOP_SHARE = 0.2
_BINS = 24
_SAMPLE_DOCUMENTS = 50_000  # of a domain

Interval = tuple[float | None, float | None]


class ReportedSource(Model):
    """A source; ``raters`` are those that score it, with the bounds of its selection on them."""

    domain: Name
    shards: int
    raters: Mapping[Name, Interval | None] = {}


@dataclass(frozen=True)
class Ratings:
    """The scores of a domain's documents by every rater that scores it: float64 [documents]."""

    domain: str
    scores: Mapping[str, NDArray[np.float64]]
    bounds: Mapping[str, Interval | None]

    def good(self, rater: str) -> NDArray[np.bool_]:
        """Return which documents a rater calls good: inside its bound, or the top fifth."""
        scores = self.scores[rater]
        low, high = self.bounds[rater] or (None, None)
        if low is None and high is None:
            low = float(np.quantile(scores, 1 - TOP_SHARE))
        inside: NDArray[np.bool_] = (scores >= (-np.inf if low is None else low)) & (
            scores <= (np.inf if high is None else high)
        )
        return inside


@dataclass(frozen=True)
class Agreement:
    """Two raters of a domain: rank correlation, kappa of what they call good; None: no value."""

    domain: str
    one: str
    other: str
    documents: int
    spearman: float | None
    kappa: float | None


def read_ratings(sources: Mapping[str, ReportedSource]) -> list[Ratings]:
    """Read the domains that have raters, in the order of the sources."""
    found = []
    for domain in dict.fromkeys(source.domain for source in sources.values()):
        of_domain = {name: one for name, one in sources.items() if one.domain == domain}
        bounds = {rater: bound for one in of_domain.values() for rater, bound in one.raters.items()}
        if bounds:
            scores = _sampled(of_domain, list(bounds))
            found.append(Ratings(domain, dict(zip(bounds, scores.T, strict=True)), bounds))
    return found


def _sampled(sources: Mapping[str, ReportedSource], raters: Sequence[str]) -> NDArray[np.float64]:
    sample = HashSample(_SAMPLE_DOCUMENTS, "report")
    for name, source in sources.items():
        for shard in range(source.shards):
            read = [_read(name, rater, shard) for rater in raters]
            rows = np.stack([scores for _, scores in read], axis=1)
            known = ~np.isnan(rows).any(axis=1)
            sample.add(read[0][0][known], rows[known])
    return sample.rows()


def _read(source: str, rater: str, shard: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    artifact = Artifact.load(layout.attributes(source, rater, shard))
    table = tables.read(artifact.member("attributes.parquet"), ["id", rater])
    return table.column("id").to_numpy(), table.column(rater).to_numpy()


def agreements(ratings: Sequence[Ratings]) -> list[Agreement]:
    """Compare every two raters of each domain."""
    return [
        Agreement(
            of_domain.domain,
            one,
            other,
            len(of_domain.scores[one]),
            spearman(of_domain.scores[one], of_domain.scores[other]),
            kappa(of_domain.good(one), of_domain.good(other)),
        )
        for of_domain in ratings
        for one, other in combinations(of_domain.scores, 2)
        if len(of_domain.scores[one])
    ]


def kappa(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """Return Cohen's kappa: agreement beyond chance; None where chance alone would always agree."""
    share, other_share = one.mean(), other.mean()
    chance = share * other_share + (1 - share) * (1 - other_share)
    return None if chance == 1 else float(((one == other).mean() - chance) / (1 - chance))


def histograms(ratings: Sequence[Ratings]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return by rater and domain the share of documents in bins of equal width, as an outline.

    All domains of a rater have the same bins: (edge, share) points, two for each bin.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for rater in dict.fromkeys(rater for one in ratings for rater in one.scores):
        scored = {one.domain: one.scores[rater] for one in ratings if rater in one.scores}
        scored = {domain: scores for domain, scores in scored.items() if len(scores)}
        if not scored:
            continue
        every = np.concatenate(list(scored.values()))
        edges = np.histogram_bin_edges(every, _BINS)
        found[rater] = {
            domain: _outline(np.histogram(scores, edges)[0] / len(scores), edges)
            for domain, scores in scored.items()
        }
    return found


def _outline(shares: NDArray[np.float64], edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    return list(zip(edges.repeat(2)[1:-1].tolist(), shares.repeat(2).tolist(), strict=True))
