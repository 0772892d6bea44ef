"""Combined raters: percentiles as counted one by one, the same whatever the shards."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from scripts.annotate.raters import calibrate, combine, percentiles
from scripts.annotate.raters.combination import Combination, learn
from scripts.annotate.raters.percentiles import Percentiles, Sampler, Scores
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.attributes import artifact_of
from scripts.common.errors import UserError
from scripts.common.hash_sample import HashSample
from scripts.common.keyed_hash import keyed_hash
from tests.annotate.raters import run_program, write_lines

RATERS = ["edu", "likes"]
SCORES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 2.0, float("nan")])
DOCUMENT = st.tuples(st.sampled_from(["en", "de", "fr"]), SCORES, SCORES)


def shard_of(rows: Sequence[tuple[str, float, float]], first_id: int = 0) -> Scores:
    return Scores(
        np.arange(first_id, first_id + len(rows)),
        np.array([language for language, *_ in rows], dtype=object),
        np.array([scores for _, *scores in rows], np.float64).reshape(len(rows), 2),
    )


def counted(rows: Sequence[tuple[str, float, float]], least: int) -> list[list[float]]:
    """Percentiles by definition: a comparison of each document with each of its group."""
    known = [row for row in rows if not np.isnan(row[1:]).any()]
    found = []
    for language, *scores in rows:
        same = [row for row in known if row[0] == language]
        group = same if len(same) >= least else known
        ranks = []
        for rater, score in enumerate(scores, start=1):
            below = sum(row[rater] < score for row in group)
            equal = sum(row[rater] == score for row in group)
            known_score = group and not np.isnan(score)
            ranks.append((below + equal / 2) / len(group) if known_score else float("nan"))
        found.append(ranks)
    return found


@given(st.lists(DOCUMENT, max_size=30), st.integers(1, 4))
def test_percentiles_are_as_counted(rows: list[tuple[str, float, float]], least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(percentiles, "MIN_ROWS", least)
        sampler = Sampler()
        for low in range(0, len(rows), 7):  # shards
            sampler.add("web", shard_of(rows[low : low + 7], low))
        table = sampler.table(RATERS)
    ranked = Percentiles.of_table(table, RATERS).of("web", shard_of(rows))
    expected = np.array(counted(rows, least)).reshape(len(rows), 2)
    np.testing.assert_allclose(ranked, expected, rtol=0, atol=1e-12)


def test_domains_do_not_mix() -> None:
    sampler = Sampler()
    low, high = (
        [("en", value, value) for value in range(start, start + 150)] for start in (0, 500)
    )
    sampler.add("web", shard_of(low))
    sampler.add("books", shard_of(high, 1000))
    ranks = Percentiles.of_table(sampler.table(RATERS), RATERS)
    assert ranks.of("web", shard_of(low)).max() > 0.99
    assert ranks.of("books", shard_of(high, 1000)).min() < 0.01
    assert (ranks.of("books", shard_of(low)) == 0).all()
    assert sampler.counts() == {"books": {"en": 150}, "web": {"en": 150}}


@given(st.permutations(range(40)), st.integers(1, 45), st.integers(1, 13))
def test_a_sample_is_the_least_hashes_whatever_the_order(
    order: list[int], size: int, shard: int
) -> None:
    ids = np.array(order, np.int64)
    sample = HashSample(size, "key")
    for low in range(0, len(ids), shard):
        part = ids[low : low + shard]
        sample.add(part, part[:, None].astype(float))
    hashed = sorted(range(40), key=lambda one: int(keyed_hash(np.array([one]), "key")[0]))
    assert sample.rows()[:, 0].tolist() == hashed[:size]
    assert sample.seen == 40


def test_a_large_group_is_ranked_within_half_a_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(percentiles, "SAMPLE_ROWS", 20_000)
    values = np.random.default_rng(0).normal(size=(100_000, 2))
    shard = Scores(np.arange(100_000), np.full(100_000, "en", dtype=object), values)
    sampler = Sampler()
    sampler.add("web", shard)
    ranked = Percentiles.of_table(sampler.table(RATERS), RATERS).of("web", shard)
    exact = (values.argsort(axis=0).argsort(axis=0) + 0.5) / len(values)
    assert np.abs(ranked - exact).max() < 0.01
    assert np.abs(ranked - exact).mean() < 0.005


def put_scores(
    source: str, shard: int, rows: Sequence[tuple[str, float, float]], first: int = 0
) -> None:
    """Make a shard's documents, languages and scores by RATERS."""
    ids = list(range(first, first + len(rows)))
    columns = {
        layout.documents(source, shard): ("documents.parquet", {}),
        layout.attributes(source, artifact_of("language"), shard): (
            "attributes.parquet", {"language": pa.array([row[0] for row in rows], pa.string())},
        ),
        **{
            layout.attributes(source, rater, shard): (
                "attributes.parquet", {rater: pa.array([row[place] for row in rows], pa.float64())},
            )
            for place, rater in enumerate(RATERS, start=1)
        },
    }  # fmt: skip
    for output, (member, values) in columns.items():
        table = pa.table({"id": pa.array(ids, pa.int64()), **values})
        make(
            lambda draft, table=table, member=member: tables.write(table, draft.path(member)),
            output=output,
            module="scripts.common.tables",
            settings=repr(table.to_pylist()),
            inputs=[],
        )


def calibrated(
    monkeypatch: pytest.MonkeyPatch, shards: dict[str, int], domain: str = "web", **rater: Any
) -> Artifact:
    settings = json.dumps({
        "rater": {"kind": "combined", "raters": RATERS, **rater},
        "sources": {name: {"domain": domain, "shards": count} for name, count in shards.items()},
    })  # fmt: skip
    run_program(monkeypatch, calibrate, "--rater", "both", "--settings", settings)
    return Artifact.load(layout.rater("both"))


def combined(monkeypatch: pytest.MonkeyPatch, source: str, shard: int) -> np.ndarray:
    settings = json.dumps({"domain": "web", "raters": RATERS})
    shown = ["--source", source, "--shard", str(shard), "--rater", "both", "--settings", settings]
    run_program(monkeypatch, combine, *shown)
    artifact = Artifact.load(layout.attributes(source, "both", shard))
    return tables.read(artifact.member("attributes.parquet")).column("both").to_numpy()


def random_rows(count: int, seed: int = 0) -> list[tuple[str, float, float]]:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(count, 2)).round(1)
    languages = generator.choice(["en", "de"], count, p=[0.9, 0.1])
    return [(str(one), *map(float, row)) for one, row in zip(languages, scores, strict=True)]


@pytest.mark.parametrize(
    ("rater", "of_percentiles"),
    [
        ({}, lambda ranks: ranks.mean(axis=1)),
        ({"weights": {"edu": 3.0, "likes": 1.0}}, lambda ranks: ranks @ [0.75, 0.25]),
        ({"method": "union"}, lambda ranks: ranks.max(axis=1)),
        ({"method": "intersection"}, lambda ranks: ranks.min(axis=1)),
    ],
)
def test_percentiles_are_combined_as_told_whatever_the_shards(
    rater: dict[str, Any], of_percentiles: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*random_rows(250), ("en", float("nan"), 1.0)]
    expected = of_percentiles(np.array(counted(rows, percentiles.MIN_ROWS)))
    put_scores("s", 0, rows)
    whole = calibrated(monkeypatch, {"s": 1}, **rater)
    scores = combined(monkeypatch, "s", 0)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)
    put_scores("s", 0, rows[100:], first=100)
    put_scores("s", 1, [])
    put_scores("s", 2, rows[:100])
    sharded = calibrated(monkeypatch, {"s": 3}, **rater)
    assert sharded.content == whole.content
    parts = [combined(monkeypatch, "s", shard) for shard in (2, 1, 0)]
    assert np.array_equal(np.concatenate(parts), scores, equal_nan=True)


def test_a_learned_combination_is_the_optimum() -> None:
    generator = np.random.default_rng(0)
    ranks = generator.uniform(size=(400, 2))
    good = generator.uniform(size=400) < 1 / (1 + np.exp(-(3 * ranks[:, 0] - ranks[:, 1] - 1)))
    found = learn(ranks, good)
    reference = LogisticRegression(C=1 / (1e-3 * 400), tol=1e-10).fit(ranks, good)
    assert np.abs(np.array(found.weights) - reference.coef_[0]).max() < 0.01
    assert found.bias == pytest.approx(float(reference.intercept_[0]), abs=0.01)
    ours, theirs = found(ranks), reference.predict_proba(ranks)[:, 1]
    assert np.abs(ours - theirs).max() < 2e-3


def test_it_learns_which_rater_to_trust_from_sources(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    good = [("en", float(1 + generator.normal()), float(generator.normal())) for _ in range(300)]
    bad = [("en", float(-1 + generator.normal()), float(generator.normal())) for _ in range(200)]
    put_scores("good", 0, good)
    put_scores("bad", 0, bad, first=1000)
    sides = {"positive": ["good"], "negative": ["bad"]}
    artifact = calibrated(monkeypatch, {"good": 1, "bad": 1}, method="learned", **sides)
    assert artifact.counts["accuracy"] > 0.75
    assert artifact.counts["documents_per_side"] == 200
    combination = Combination.model_validate_json(artifact.member("combination.json").read_bytes())
    assert combination.weights[0] > 3 > abs(combination.weights[1])
    assert combined(monkeypatch, "good", 0).mean() > 0.6 > combined(monkeypatch, "bad", 0).mean()


def test_it_learns_from_labelled_ids(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(400)
    put_scores("s", 0, rows)
    labels = write_lines(
        Path("labels.jsonl"),
        [{"id": place, "good": row[2] > 0, "note": "x"} for place, row in enumerate(rows[:200])],
    )
    artifact = calibrated(monkeypatch, {"s": 1}, method="learned", labels=[labels])
    assert artifact.counts["accuracy"] > 0.9
    weights = json.loads(artifact.member("combination.json").read_text())["weights"]
    assert weights[1] > 5 > abs(weights[0])


def test_raters_that_cannot_tell_are_loud_and_too_few_an_error(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put_scores("good", 0, random_rows(200, 1))
    put_scores("bad", 0, random_rows(200, 2), first=1000)
    sides = {"positive": ["good"], "negative": ["bad"], "method": "learned"}
    with caplog.at_level(logging.WARNING):
        calibrated(monkeypatch, {"good": 1, "bad": 1}, **sides)
    assert "is close to chance" in caplog.text
    put_scores("bad", 0, random_rows(5), first=1000)
    with pytest.raises(UserError, match=r"raters\.both: 200 good and 5 bad documents"):
        calibrated(monkeypatch, {"good": 1, "bad": 1}, **sides)


def test_a_rare_language_is_ranked_among_its_domain(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("en", float(place), 0.0) for place in range(200)] + [("fr", 100.0, 0.0)] * 3
    put_scores("s", 0, rows)
    artifact = calibrated(monkeypatch, {"s": 1}, method="union")
    assert artifact.counts["documents"] == {"web": {"en": 200, "rare": 3}}
    assert combined(monkeypatch, "s", 0)[-1] == pytest.approx(0.5, abs=0.01)
