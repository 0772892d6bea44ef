"""Encoder raters: the model's own outputs whatever the batch; heads that learn what is there."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from scripts.annotate.raters.encoder import measures, predict, ridge
from scripts.common import canonical, layout, transformer
from scripts.common.artifact import Artifact
from scripts.common.config.annotate import EncoderRater
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from tests.annotate.raters import (
    minilm,
    score_shard,
    tiny_classifier,
    train_rater,
    write_lines,
)

MakeDocuments = Callable[[str, int, list[str]], Artifact]
WORDS = ["the", "river", "runs", "past", "a", "house", "and", "old", "mill", "in", "spring"]
TEXTS = [
    " ".join(WORDS[(place * 7 + step * step) % len(WORDS)] for step in range(1 + place * 3 % 90))
    for place in range(120)
]
TOLERANCE = 1e-4  # of our batches against the library's own run, one text at a time


def alone(folder: Path, texts: list[str]) -> list[torch.Tensor]:
    """The logits that the library gives for each text by itself."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        given = [
            tokenizer(text, truncation=True, max_length=64, return_tensors="pt") for text in texts
        ]
        return [model(**one).logits[0].double() for one in given]


@pytest.mark.parametrize(
    ("config", "rater", "of_logits"),
    [
        ({"num_labels": 1}, {}, lambda logits: logits[0]),
        ({"num_labels": 3}, {}, lambda logits: logits.softmax(0) @ torch.arange(3).double()),
        (
            {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}},
            {"label": "good"},
            lambda logits: logits.softmax(0)[1],
        ),
        (
            {"num_labels": 3, "problem_type": "multi_label_classification"},
            {"label": "LABEL_2"},
            lambda logits: logits.sigmoid()[2],
        ),
    ],
)
def test_a_classifier_scores_as_the_library_does(
    config: dict[str, Any],
    rater: dict[str, Any],
    of_logits: Callable[[torch.Tensor], torch.Tensor],
    make_documents: MakeDocuments,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tiny_classifier(Path("model").resolve(), WORDS, **config)
    make_documents("web", 0, TEXTS)
    train_rater(monkeypatch, "edu", {"kind": "encoder", "path": str(folder), **rater})
    scores = score_shard(monkeypatch, "edu", "web")
    expected = [float(of_logits(logits)) for logits in alone(folder, TEXTS[:40])]
    assert np.abs(scores[:40] - expected).max() < TOLERANCE
    assert scores.std() > 10 * TOLERANCE
    counts = Artifact.load(layout.attributes("web", "edu", 0)).counts
    longer = [len(text.split()) + 2 > 64 for text in TEXTS]
    assert counts["truncated"] == pytest.approx(np.mean(longer), abs=1e-6)
    assert 0 < np.mean(longer) < 1


def test_scores_do_not_depend_on_the_neighbours_to_the_last_bit(workdir: Path) -> None:
    folder = tiny_classifier(workdir / "model", WORDS, num_labels=1)
    rater = EncoderRater(kind="encoder", path=str(folder))
    run, _ = transformer.classifier(rater, folder)
    whole = run(Texts.of_strings(TEXTS))
    backwards = run(Texts.of_strings(TEXTS[::-1]))[::-1]
    parts = [run(Texts.of_strings(TEXTS[low : low + 7])) for low in range(0, len(TEXTS), 7)]
    assert (whole == backwards).all()
    assert (whole == np.concatenate(parts)).all()


def test_shards_do_not_change_a_score(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_classifier(Path("model").resolve(), WORDS, num_labels=1)
    train_rater(monkeypatch, "edu", {"kind": "encoder", "path": str(folder)})
    make_documents("one", 0, TEXTS)
    make_documents("two", 0, TEXTS[:50])
    make_documents("two", 1, TEXTS[50:])
    make_documents("two", 2, [])
    parts = [score_shard(monkeypatch, "edu", "two", shard) for shard in range(3)]
    assert score_shard(monkeypatch, "edu", "one").tolist() == np.concatenate(parts).tolist()


def test_a_text_cannot_write_the_tokenizers_own_signs(workdir: Path) -> None:
    folder = tiny_classifier(workdir / "model", WORDS, num_labels=1)
    run, _ = transformer.classifier(EncoderRater(kind="encoder", path=str(folder)), folder)
    plain, sign = run._ids(Texts.of_strings(["the [ SEP ] river", "the [SEP] river"]))
    assert plain == sign


def test_folders_that_are_no_classifier_are_errors(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(path: str, **more: Any) -> None:
        train_rater(monkeypatch, "edu", {"kind": "encoder", "path": path, **more})

    with pytest.raises(UserError, match="absent does not load as a model"):
        train("absent")
    folder = tiny_classifier(workdir / "model", WORDS, num_labels=2)
    with pytest.raises(UserError, match=r"has no label 'good' but \['LABEL_0', 'LABEL_1'\]"):
        train(str(folder), label="good")
    weights = folder / "model.safetensors"
    torch.save(AutoModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    weights.rename(workdir / "aside")
    with pytest.raises(UserError, match="does not load as a model"):
        train(str(folder))  # a pickle is not opened
    (workdir / "aside").rename(weights)
    config = json.loads((folder / "config.json").read_text())
    classes = ("AutoConfig", "AutoModelForSequenceClassification")
    remote = {**config, "model_type": "theirs", "auto_map": dict.fromkeys(classes, "theirs.Own")}
    (folder / "config.json").write_text(json.dumps(remote))
    (folder / "theirs.py").write_text("raise SystemExit('remote code ran')\n")
    with pytest.raises(UserError, match="does not load as a model"):
        train(str(folder))


def test_an_encoder_without_a_head_is_an_error(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"has no weights for \['classifier"):
        train_rater(monkeypatch, "edu", {"kind": "encoder", "path": minilm()})


LESSONS = [
    "Photosynthesis turns light into chemical energy that plants store as sugar",
    "The derivative of a function measures how its value changes with its input",
    "Newton's second law says that force equals mass times acceleration",
    "The French Revolution began in 1789 and ended the absolute monarchy",
    "A prime number has no divisors other than one and itself",
]
ADVERTS = [
    "Buy two pairs of shoes today and get the third one free, click now",
    "Our casino has the best bonus and the fastest payout in town",
    "Limited offer: cheap watches, free shipping, order before midnight",
    "Follow us and win a brand new phone, share with all your friends",
    "Hot deals on car insurance, call this number for a free quote",
]


def labelled(path: Path, count: int = 120) -> str:
    rows = [
        {"text": f"{(LESSONS if place % 2 else ADVERTS)[place // 2 % 5]}, part {place}.",
         "score": 4.0 if place % 2 else 0.5}
        for place in range(count)
    ]  # fmt: skip
    return write_lines(path, rows)


@pytest.mark.parametrize("head", ["ridge", "mlp"])
def test_a_head_on_a_real_encoder_tells_lessons_from_adverts(
    head: str, make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = labelled(Path("labels.jsonl"))
    rater = {"kind": "encoder", "path": minilm(), "labels": [labels], "head": head}
    artifact = train_rater(monkeypatch, "edu", rater)
    assert artifact.counts["f1"] == 1.0 and artifact.counts["spearman"] > 0.8
    assert artifact.counts["training"] + artifact.counts["validation"] == 120
    make_documents("web", 0, [
        "Water boils at a lower temperature on a mountain, as the pressure of the air is less.",
        "Sale! Everything must go, up to 80% off, only this weekend, click here!",
    ])  # fmt: skip
    good, bad = score_shard(monkeypatch, "edu", "web")
    assert good > 2 > bad
    first = canonical.sha256_file(artifact.member("head.safetensors"))
    lines = Path(labels).read_text().splitlines(keepends=True)
    Path(labels).write_text("".join(reversed(lines)))
    again = train_rater(monkeypatch, "edu", rater)
    assert canonical.sha256_file(again.member("head.safetensors")) == first


def test_embeddings_are_those_of_sentence_transformers(workdir: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = minilm()
    rater = EncoderRater(kind="encoder", path=folder, max_tokens=256, labels=["none"])
    found = transformer.encoder(rater, Path(folder))(Texts.of_strings([*LESSONS, *ADVERTS]))
    reference = sentence_transformers.SentenceTransformer(folder, device="cpu")
    assert np.abs(found - reference.encode([*LESSONS, *ADVERTS])).max() < 1e-5


def test_ridge_is_the_exact_solution() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(80, 6)).astype(np.float32)
    scores = inputs @ np.arange(6) + 3 + generator.normal(size=80)
    rater = EncoderRater(kind="encoder", path="none", labels=["none"], penalty=0.05)
    reference = Ridge(alpha=0.05 * len(scores)).fit(inputs, scores).predict(inputs)
    assert np.abs(predict(ridge(inputs, scores, rater), inputs) - reference).max() < 1e-4


def test_measures_are_those_of_the_references() -> None:
    generator = np.random.default_rng(1)
    wanted = generator.integers(0, 6, 200).astype(float)
    found = wanted + generator.normal(size=200)
    told = measures(wanted, found, 3.0)
    assert told["spearman"] == pytest.approx(spearmanr(wanted, found).statistic, abs=1e-6)
    assert told["f1"] == pytest.approx(f1_score(wanted >= 3, found >= 3), abs=1e-6)
    assert measures(wanted, np.ones(200), 3.0) == {"f1": 0.0, "spearman": 0.0}


def test_faulty_labels_are_named(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*rows: dict[str, Any]) -> None:
        labels = write_lines(Path("labels.jsonl"), rows)
        rater = {"kind": "encoder", "path": minilm(), "labels": [labels]}
        train_rater(monkeypatch, "edu", rater)

    with pytest.raises(UserError, match=r"labels\.jsonl:2: score: Input should be a valid number"):
        train({"text": "a", "score": 1}, {"text": "b", "score": "high"})
    with pytest.raises(UserError, match=r"labels\.jsonl:1: text: Field required"):
        train({"body": "a", "score": 1})
    with pytest.raises(UserError, match=r"raters\.edu: 3 examples are too few"):
        train(*({"text": str(place), "score": 1} for place in range(3)))


def test_labels_that_say_nothing_are_loud(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": f"the same text {place}", "score": 1.0} for place in range(60)]
    rater = {"kind": "encoder", "path": minilm(),
             "labels": [write_lines(Path("labels.jsonl"), rows)]}  # fmt: skip
    with caplog.at_level(logging.WARNING):
        train_rater(monkeypatch, "edu", rater)
    assert "rank correlation with examples kept from training is 0.000" in caplog.text
