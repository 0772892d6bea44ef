"""Targeted sampling: the first entry that a document meets says how often it is read."""

from collections import Counter
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.config.select import Sampling
from scripts.common.keyed_hash import keyed_hash
from scripts.select import sampling
from tests.select.test_documents import put_shard, reasons, select

ENDS = st.none() | st.integers(0, 200).map(float)
RULES = st.lists(
    st.builds(
        Sampling,
        languages=st.lists(st.sampled_from(["en", "de", "fr"]), max_size=2),
        words=st.tuples(ENDS, ENDS),
        rate=st.sampled_from([0.0, 0.3, 1.0, 2.5, 3.0]),
    ),
    max_size=4,
)
DOCUMENTS = st.lists(
    st.tuples(st.sampled_from(["en", "de", "fr", "und"]), st.integers(0, 200).map(float)),
    max_size=40,
)


def slow(rules: list[Sampling], language: str, words: float, identifier: int) -> int:
    for rule in rules:
        low, high = rule.words
        if rule.languages and language not in rule.languages:
            continue
        if (low is not None and words < low) or (high is not None and words > high):
            continue
        share = int(keyed_hash(np.array([identifier]), "sampling")[0]) / 2**64
        return floor(rule.rate) + (share < rule.rate - floor(rule.rate))
    return 1


@given(RULES, DOCUMENTS)
def test_reads_are_those_of_the_first_entry_met(
    rules: list[Sampling], documents: list[tuple[str, float]]
) -> None:
    ids = np.arange(len(documents), dtype=np.int64)
    languages = np.array([language for language, _ in documents], dtype=object)
    words = np.array([words for _, words in documents], np.float64)
    rule = sampling.rule_of(rules, languages, words)
    read = sampling.repeats(rules, rule, ids)
    assert read.tolist() == [
        slow(rules, *document, identifier) for identifier, document in enumerate(documents)
    ]


@given(st.floats(0, 5), st.floats(0, 5))
def test_a_higher_rate_reads_nothing_less_often(one: float, other: float) -> None:
    ids = np.arange(300)
    everything = np.zeros(300, np.int64)
    low, high = (
        sampling.repeats([Sampling(rate=rate)], everything, ids) for rate in sorted([one, other])
    )
    assert (low <= high).all()


def test_a_rate_is_met_on_the_whole() -> None:
    ids = np.arange(20_000)
    everything = np.zeros(len(ids), np.int64)
    for rate in (0.25, 1.0, 2.4):
        read = sampling.repeats([Sampling(rate=rate)], everything, ids)
        assert read.mean() == pytest.approx(rate, abs=0.01)
        assert set(read.tolist()) <= {floor(rate), floor(rate) + 1}


SHORT_ENGLISH: dict[str, Any] = {"languages": ["en"], "words": [None, 50], "rate": 0.0}
LONG: dict[str, Any] = {"words": [1000, None], "rate": 2.5}


@pytest.mark.usefixtures("workdir")
def test_selection_repeats_and_drops_what_is_left_and_counts_it() -> None:
    size = 400
    put_shard(
        size,
        kind={0: "exact"},  # a duplicate stays dropped, whatever its length
        gopher_words={0: 2000.0, **dict.fromkeys(range(1, 201), 1000.0), 300: 50.0, 301: 10.0},
        language={301: "de"},
    )
    artifact = select(sampling=[SHORT_ENGLISH, LONG])
    table = tables.read(artifact.member("selection.parquet"))
    repeats = table.column("repeats").to_numpy()
    assert Counter(reasons(artifact)) == {None: size - 2, "exact_duplicate": 1, "sample": 1}
    assert (repeats[0], repeats[300], repeats[301]) == (0, 0, 1)
    assert set(repeats[1:201].tolist()) == {2, 3}
    assert set(repeats[201:300].tolist()) == {1}
    counts = artifact.counts
    assert counts["kept"] == int((repeats > 0).sum())
    assert counts["reads"] == int(repeats.sum())
    assert counts["sampling"] == [
        {"rate": 0.0, "documents": 1, "kept": 0, "reads": 0},
        {"rate": 2.5, "documents": 200, "kept": 200, "reads": int(repeats[1:201].sum())},
    ]


@pytest.mark.usefixtures("workdir")
def test_a_plain_sample_comes_first_and_does_not_decide_the_targeted_one() -> None:
    put_shard(2000, gopher_words=dict.fromkeys(range(2000), 1000.0))
    plain = select(sample=0.5)
    both = select(sample=0.5, sampling=[{"rate": 0.5}])
    assert plain.counts["kept"] == pytest.approx(1000, abs=100)
    assert both.counts["kept"] == pytest.approx(500, abs=80)
    assert both.counts["sampling"][0]["documents"] == plain.counts["kept"]
    assert both.counts["dropped"]["sample"] == 2000 - both.counts["kept"]


@pytest.mark.usefixtures("workdir")
def test_without_sampling_everything_kept_is_read_once() -> None:
    put_shard(3, kind={0: "exact"})
    artifact = select()
    table = tables.read(artifact.member("selection.parquet"))
    assert table.column("repeats").to_pylist() == [0, 1, 1]
    assert artifact.counts["sampling"] == []
