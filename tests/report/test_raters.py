"""Agreement of raters as the references have it, and histograms that hold every document."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import cohen_kappa_score

from scripts.common import layout
from scripts.common.ranks import average_ranks, spearman
from scripts.report.raters import (
    Ratings,
    ReportedSource,
    agreements,
    histograms,
    kappa,
    read_ratings,
)
from tests.report.conftest import artifact

NUMBERS = st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0])
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40)


@given(PAIRS)
def test_spearman_is_scipys(pairs: list[tuple[float, float]]) -> None:
    one, other = np.array(pairs).T
    assert average_ranks(one).tolist() == rankdata(one).tolist()
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert spearman(one, other) is None
    else:
        assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)


@given(PAIRS)
def test_kappa_is_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    one, other = np.array(pairs).T > 0.5
    found = kappa(one, other)
    if found is None:
        assert (one == other).all() and len(set(one)) == 1
    else:
        assert found == pytest.approx(cohen_kappa_score(one, other))


def test_good_is_inside_the_bound_or_the_top_fifth() -> None:
    scores = np.arange(100.0)
    bounds = {"low": (30.0, None), "both": (30.0, 60.0), "none": None, "open": (None, None)}
    ratings = Ratings("web", dict.fromkeys(bounds, scores), bounds)
    counts = {rater: int(ratings.good(rater).sum()) for rater in bounds}
    assert counts == {"low": 70, "both": 31, "none": 20, "open": 20}


def put(source: str, rater: str, ids: list[int], scores: list[float], shard: int = 0) -> None:
    columns = {"id": pa.array(ids, pa.int64()), rater: pa.array(scores, pa.float64())}
    artifact(
        layout.attributes(source, rater, shard),
        f"{rater}{ids}",
        members={"attributes.parquet": pa.table(columns)},
    )


def test_domains_are_read_over_their_sources_and_shards(workdir: Path) -> None:
    nan = float("nan")
    for rater, sign in (("edu", 1), ("likes", -1)):
        put("a", rater, [1, 2], [sign * 1.0, sign * 2.0])
        put("a", rater, [], [], shard=1)
        put("b", rater, [3, 4], [sign * 3.0, nan])
    put("c", "edu", [5], [9.0])
    both = {"edu": None, "likes": None}
    sources = {
        "a": ReportedSource(domain="web", shards=2, raters=both),
        "b": ReportedSource(domain="web", shards=1, raters=both),
        "c": ReportedSource(domain="books", shards=1, raters={"edu": None}),
        "d": ReportedSource(domain="code", shards=1),
    }
    ratings = read_ratings(sources)
    assert [one.domain for one in ratings] == ["web", "books"]
    assert sorted(ratings[0].scores["edu"].tolist()) == [1.0, 2.0, 3.0]
    (agreement,) = agreements(ratings)
    assert (agreement.domain, agreement.documents) == ("web", 3)
    assert agreement.spearman == pytest.approx(-1)
    outlines = histograms(ratings)
    assert list(outlines) == ["edu", "likes"]
    for of_rater in outlines.values():
        for points in of_rater.values():
            assert sum(share for _, share in points) / 2 == pytest.approx(1)
    assert outlines["edu"]["web"][0][0] == 1.0 and outlines["edu"]["books"][-1][0] == 9.0


def test_a_rater_of_nothing_draws_nothing(workdir: Path) -> None:
    put("a", "edu", [], [])
    put("a", "likes", [], [])
    both = {"edu": None, "likes": None}
    ratings = read_ratings({"a": ReportedSource(domain="web", shards=1, raters=both)})
    assert agreements(ratings) == [] and histograms(ratings) == {}
