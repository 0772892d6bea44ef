"""The embedding rule with a real encoder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from scripts.decontaminate import embedding
from scripts.decontaminate.hashed_words import hash_words
from tests.decontaminate.conftest import Stage, contaminated, hits, write_documents, write_items

ITEM = (
    "A bakery sold 24 loaves of bread in the morning and twice as many in the afternoon. "
    "How many loaves of bread did the bakery sell during the whole day?"
)
PARAPHRASE = (
    "In the morning a bakery sold 24 loaves of bread; in the afternoon it sold twice that many. "
    "Over the whole day, what number of loaves of bread did the bakery sell?"
)
UNRELATED = (
    "The committee published its report on coastal erosion in the spring. How many of the "
    "recommendations the ministry will follow is not known in the region."
)
FILLER = "The museum opens at nine and closes at five, and on Mondays it stays closed. "


def test_a_paraphrase_is_found_and_another_text_is_not(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    write_items("sums", {"bakery": ITEM, "other": UNRELATED.replace("erosion", "tides")})
    write_documents([f"{FILLER}{PARAPHRASE} {FILLER}", FILLER * 3, ""])
    rule = {"kind": "embedding", "path": encoder}
    stage = Stage(monkeypatch, rules=["gpt3", rule])
    stage.index(["sums"])
    artifact = stage.scan()
    assert contaminated(artifact) == [1, 0, 0]
    assert [(hit["item"], hit["rule"]) for hit in hits(artifact)] == [("bakery", "embedding")]
    assert hits(artifact)[0]["score"] >= 0.85


def test_all_windows_find_what_shares_no_run_of_words(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    reworded = (
        "Before noon the baker sells 24 loaves, after lunch double that amount. "
        "What is the number of bread loaves sold by the bakery in one day?"
    )
    write_items("sums", {"bakery": ITEM})
    write_documents([reworded, UNRELATED])
    found = {}
    for windows in ("candidates", "all"):
        rule = {"kind": "embedding", "path": encoder, "threshold": 0.75, "windows": windows}
        stage = Stage(monkeypatch, rules=[rule])
        stage.index(["sums"])
        found[windows] = contaminated(stage.scan())
    assert found == {"candidates": [0, 0], "all": [1, 0]}


def test_short_items_must_be_there_whole(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    write_items("sums", {"short": "How many apples does Ann have now?"})
    write_documents(
        ["Well: how many apples does Ann have now? Five.", "How many pears does Ann have now?"]
    )
    stage = Stage(monkeypatch, rules=[{"kind": "embedding", "path": encoder}])
    stage.index(["sums"])
    assert contaminated(stage.scan()) == [1, 0]


def test_no_encoder(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, rules=[{"kind": "embedding", "path": "nowhere"}])
    with pytest.raises(UserError, match="nowhere is no folder of a Hugging Face encoder"):
        stage.index()


def test_embeddings_are_of_length_one(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    write_items("sums", {"bakery": ITEM, "none": "…"})
    built = Stage(monkeypatch, rules=[{"kind": "embedding", "path": encoder}]).index(["sums"])
    rows = np.load(built.member("embeddings/embedding.npy"), allow_pickle=False)
    assert rows.dtype == np.float32
    assert len(rows) == tables.read(built.member("items.parquet")).num_rows == 3
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


@given(st.integers(0, 1300), st.integers(1, 5), st.integers(0, 9))
def test_near_is_every_pair_with_enough_cosine(windows: int, items: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(windows + items, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    least = draw.uniform(0.9, 1, items)
    expected = {
        (window, item)
        for window in range(windows)
        for item in range(items)
        if round(min(1, float(rows[window] @ rows[windows + item])), 4) >= least[item]
    }
    found = list(embedding.near(rows[:windows], rows[windows:], least))
    pairs = [pair for window, item, _ in found for pair in zip(window, item, strict=True)]
    assert set(pairs) == expected and len(pairs) == len(expected)


@given(st.lists(st.integers(0, 90), max_size=5), st.sampled_from([4, 16, 32]))
def test_windows_cover_every_word_and_no_border(lengths: list[int], size: int) -> None:
    words = hash_words(Texts.of_strings(["w " * length for length in lengths]))
    begin, end = embedding.windows(words, size)
    assert np.all(end - begin == np.minimum(size, words.counts[words.document_of(begin)]))
    assert np.all(words.document_of(begin) == words.document_of(end - 1))
    covered = {word for low, high in zip(begin, end, strict=True) for word in range(low, high)}
    assert covered == set(range(sum(lengths)))
    assert len(set(zip(begin.tolist(), end.tolist(), strict=True))) == len(begin)
