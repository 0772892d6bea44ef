"""Pairwise raters: planted utilities come back from noisy judgments, and the fit is the optimum."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr

from scripts.annotate.raters.pairwise import Features, bradley_terry
from scripts.common import canonical
from scripts.common.artifact import Artifact
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from scripts.common.words import ngrams, split_words
from tests.annotate.raters import (
    minilm,
    score_shard,
    tiny_classifier,
    train_rater,
    write_lines,
)
from tests.annotate.test_rater_encoder import ADVERTS, LESSONS, TEXTS, WORDS, alone

MakeDocuments = Callable[[str, int, list[str]], Artifact]


def zermelo(wins: np.ndarray, steps: int = 1000) -> np.ndarray:
    """Bradley-Terry strengths by the minorise-maximise iteration (Hunter, 2004), logs less mean."""
    games = wins + wins.T
    strength = np.ones(len(wins))
    for _ in range(steps):
        shares = games / (strength[:, None] + strength[None, :])
        strength = wins.sum(axis=1) / shares.sum(axis=1)
        strength /= np.exp(np.log(strength).mean())
    return np.log(strength)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_the_fit_is_zermelos(seed: int) -> None:
    """Where each text has a parameter of its own, this is the classical model."""
    generator = np.random.default_rng(seed)
    items = int(generator.integers(2, 6))
    wins = generator.integers(1, 9, (items, items)).astype(float)  # all beat all: strengths exist
    np.fill_diagonal(wins, 0)
    pairs = np.array([(a, b) for a in range(items) for b in range(items) if a != b])
    repeated = np.repeat(pairs, wins[pairs[:, 0], pairs[:, 1]].astype(int), axis=0)
    weights = bradley_terry(Features.dense(np.eye(items)), repeated, np.ones(len(repeated)), 1e-9)
    assert np.abs(weights - weights.mean() - zermelo(wins)).max() < 1e-3


def test_the_fit_is_the_optimum_of_its_loss() -> None:
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(40, 5))
    pairs = generator.integers(0, 40, (200, 2))
    wanted = generator.uniform(size=200)

    def loss(weights: np.ndarray) -> float:
        margin = rows[pairs[:, 0]] @ weights - rows[pairs[:, 1]] @ weights
        entropy = np.logaddexp(0, margin) - wanted * margin
        return float(entropy.mean() + 0.01 / 2 * weights @ weights)

    slow = minimize(loss, np.zeros(5), method="Nelder-Mead",
                    options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000})  # fmt: skip
    weights = bradley_terry(Features.dense(rows), pairs, wanted, 0.01)
    assert loss(weights) <= slow.fun + 1e-10
    assert np.abs(weights - slow.x).max() < 1e-4


@given(st.lists(st.text("ab é.", max_size=12), max_size=5), st.integers(1, 3))
def test_hashed_features_are_those_of_each_text_alone(texts: list[str], orders: int) -> None:
    weights = np.random.default_rng(0).normal(size=64)
    found = Features.hashed(Texts.of_strings(texts), orders, 64).dot(weights)
    for text, rating in zip(texts, found, strict=True):
        words = split_words([text])
        grams = [int(one) for n in range(1, orders + 1) for one in ngrams(words, n).hashes]
        slow = sum(weights[one % 64] for one in grams) / max(len(grams), 1) ** 0.5
        assert rating == pytest.approx(slow, abs=1e-12)


GOOD = ["theorem", "proof", "energy", "history", "measure"]
BAD = ["casino", "bonus", "click", "cheap", "deal"]


def planted(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Texts of good, bad and neutral words, and their utilities: what is planted in them."""
    generator = np.random.default_rng(seed)
    texts, utilities = [], []
    for _ in range(count):
        good, bad = generator.integers(0, 9, 2)
        words = [*generator.choice(GOOD, good), *generator.choice(BAD, bad),
                 *generator.choice(WORDS, 12)]  # fmt: skip
        texts.append(" ".join(generator.permutation(words)))
        utilities.append((good - bad) / len(words) ** 0.5)
    return texts, np.array(utilities)


def judged(texts: list[str], utilities: np.ndarray, count: int, path: Path) -> str:
    """Judgments of random pairs by judges that err: the Bradley-Terry model itself."""
    generator = np.random.default_rng(9)
    rows = []
    for place in range(count):
        a, b = generator.choice(len(texts), 2, replace=False)
        likely = 1 / (1 + np.exp(-2 * (utilities[a] - utilities[b])))
        verdict: dict[str, Any] = (
            {"winner": "a" if generator.uniform() < likely else "b"}
            if place % 2
            else {"preference": float(generator.binomial(5, likely) / 5)}
        )
        rows.append({"a": texts[a], "b": texts[b], **verdict, "judge": "anyone"})
    return write_lines(path, rows)


def test_planted_utilities_come_back_from_noisy_judgments(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, utilities = planted(400, 0)
    pairs = judged(texts, utilities, 1500, Path("pairs.jsonl"))
    rater = {"kind": "pairwise", "pairs": [pairs], "buckets": 4096, "word_ngrams": 1}
    artifact = train_rater(monkeypatch, "likes", rater)
    assert artifact.counts["accuracy"] > 0.7
    unseen, unseen_utilities = planted(300, 1)
    make_documents("web", 0, [*unseen, "..."])
    scores = score_shard(monkeypatch, "likes", "web")
    assert spearmanr(scores[:-1], unseen_utilities).statistic > 0.9
    assert scores[-1] == 0  # no word, no rating
    first = canonical.sha256_file(artifact.member("weights.safetensors"))
    lines = Path(pairs).read_text().splitlines(keepends=True)
    Path(pairs).write_text("".join(reversed(lines)))
    again = train_rater(monkeypatch, "likes", rater)
    assert canonical.sha256_file(again.member("weights.safetensors")) == first


def test_a_real_encoder_learns_a_preference(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"a": f"{(LESSONS if place % 2 else ADVERTS)[place // 2 % 5]} ({place}).",
         "b": f"{(ADVERTS if place % 2 else LESSONS)[place // 3 % 5]} ({place}).",
         "winner": "a" if place % 2 else "b"}
        for place in range(80)
    ]  # fmt: skip
    pairs = write_lines(Path("pairs.jsonl"), rows)
    rater = {"kind": "pairwise", "path": minilm(), "pairs": [pairs]}
    assert train_rater(monkeypatch, "likes", rater).counts["accuracy"] == 1.0
    make_documents("web", 0, [
        "Water boils at a lower temperature on a mountain, as the pressure of the air is less.",
        "Sale! Everything must go, up to 80% off, only this weekend, click here!",
    ])  # fmt: skip
    good, bad = score_shard(monkeypatch, "likes", "web")
    assert good > bad


def test_a_users_own_classifier_rates_by_its_logits(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"writing_style": 0, "educational_value": 1}
    folder = tiny_classifier(
        Path("model").resolve(), WORDS, label2id=labels,
        id2label={place: label for label, place in labels.items()},
    )  # fmt: skip
    rater = {"kind": "pairwise", "path": str(folder)}
    with pytest.raises(UserError, match=r"has the ratings .*: name one as `label`"):
        train_rater(monkeypatch, "likes", rater)
    train_rater(monkeypatch, "likes", {**rater, "label": "educational_value"})
    make_documents("web", 0, TEXTS[:30])
    scores = score_shard(monkeypatch, "likes", "web")
    expected = [float(logits[1]) for logits in alone(folder, TEXTS[:30])]
    assert np.abs(scores - expected).max() < 1e-4


def test_judgments_by_chance_are_loud(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts, _ = planted(200, 0)
    pairs = judged(texts, np.zeros(200), 600, Path("pairs.jsonl"))
    rater = {"kind": "pairwise", "pairs": [pairs], "buckets": 512, "word_ngrams": 1}
    with caplog.at_level(logging.WARNING):
        train_rater(monkeypatch, "likes", rater)
    assert "on judgments kept from training is close to chance" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": "x", "b": "y"}, "give either `preference`"),
        ({"a": "x", "b": "y", "winner": "c"}, r"winner: Input should be 'a' or 'b'"),
        ({"a": "x", "b": "y", "preference": 1.5}, r"preference: Input should be less than"),
        ({"a": "x", "winner": "a"}, "b: Field required"),
    ],
)
def test_faulty_judgments_are_named(
    row: dict[str, Any], message: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = write_lines(Path("pairs.jsonl"), [row])
    with pytest.raises(UserError, match=rf"pairs\.jsonl:1: .*{message}"):
        train_rater(monkeypatch, "likes", {"kind": "pairwise", "pairs": [pairs]})
