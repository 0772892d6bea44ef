"""fastText raters: repeatable to the byte, right on what they can learn, loud where they cannot."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.annotate.raters.fasttext import zeroed_memory
from scripts.annotate.raters.lines import lines, without_labels
from scripts.common import canonical, layout
from scripts.common.artifact import Artifact
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from tests.annotate.raters import score_shard, train_rater

MakeDocuments = Callable[[str, int, list[str]], Artifact]
RATER: dict[str, Any] = {
    "positive": ["prose"], "negative": ["noise"], "documents_per_side": 60, "buckets": 1000,
    "epochs": 20,
}  # fmt: skip
PROSE = [f"the river runs past house number {n}\nand the old mill" for n in range(80)]
NOISE = [f"buy cheap pills {n} click here now" for n in range(80)]


@pytest.fixture
def sources(make_documents: MakeDocuments) -> None:
    make_documents("prose", 0, PROSE[:40])
    make_documents("prose", 1, PROSE[40:])
    make_documents("noise", 0, NOISE)


def train(monkeypatch: pytest.MonkeyPatch) -> Artifact:
    return train_rater(monkeypatch, "good", RATER, prose=2, noise=1)


@pytest.mark.usefixtures("sources")
def test_scores_are_probabilities_of_good(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train(monkeypatch).counts == {
        "accuracy": 1.0,
        "documents_per_side": 60,
        "training": 108,
        "validation": 12,
    }
    good, bad = score_shard(monkeypatch, "good", "prose"), score_shard(monkeypatch, "good", "noise")
    assert good.min() > 0.5 > bad.max()
    assert bad.min() >= 0 and good.max() <= 1


@pytest.mark.usefixtures("sources")
def test_training_again_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = canonical.sha256_file(train(monkeypatch).member("model.bin"))
    layout.rater("good").with_name(layout.MANIFEST).unlink()
    assert canonical.sha256_file(train(monkeypatch).member("model.bin")) == first


@pytest.mark.usefixtures("sources")
def test_both_sides_give_equally_many_documents(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_documents("noise", 0, NOISE[:20])
    assert train(monkeypatch).counts["documents_per_side"] == 20


@pytest.mark.usefixtures("sources")
def test_an_empty_side_is_an_error(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_documents("noise", 0, [])
    with pytest.raises(UserError, match=r"raters.good: .*'negative': 0.* too few"):
        train(monkeypatch)


def test_alike_sides_and_alike_scores_are_loud(
    make_documents: MakeDocuments,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for source, shard in (("prose", 0), ("prose", 1), ("noise", 0)):
        make_documents(source, shard, ["all the same"] * 40)
    with caplog.at_level(logging.WARNING):
        train(monkeypatch)
        score_shard(monkeypatch, "good", "prose")
    assert "is close to chance" in caplog.text
    assert "scores all documents alike" in caplog.text


@pytest.mark.usefixtures("sources")
def test_an_empty_shard_has_an_empty_table(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch)
    make_documents("empty", 0, [])
    assert score_shard(monkeypatch, "good", "empty").shape == (0,)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A model of the user's own, of three labels and with capitals."""
    with (tmp_path / "theirs.txt").open("w") as stream:
        for n in range(60):
            stream.write(f"__label__hq The River runs {n}\n__label__lq BUY pills {n}\n")
            stream.write(f"__label__code def f ( {n} ) :\n")
    with zeroed_memory():
        model = fasttext.train_supervised(
            input=str(tmp_path / "theirs.txt"), epoch=50, dim=8, bucket=100, thread=1, verbose=0
        )
    model.save_model(str(tmp_path / "theirs.bin"))
    return tmp_path / "theirs.bin"


TEXTS = ["The River\nruns 3", "BUY pills 4", "def f ( 5 ) :", "the river"]


@pytest.mark.parametrize("label", ["hq", "__label__hq"])
def test_a_users_own_model_scores_as_fasttext_itself(
    theirs: Path, label: str, make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_documents("web", 0, TEXTS)
    train_rater(monkeypatch, "theirs", {"path": str(theirs), "label": label})
    raw = fasttext.load_model(str(theirs))
    expected = []
    for text in TEXTS:
        labels, probabilities = raw.predict([text.replace("\n", " ")], k=3)
        expected.append(dict(zip(labels[0], probabilities[0], strict=True))["__label__hq"])
    scores = score_shard(monkeypatch, "theirs", "web")
    assert scores.tolist() == np.clip(np.array(expected, np.float64), 0, 1).tolist()
    assert scores[0] > 0.9 > 0.5 > scores[1]


def test_a_users_own_model_must_be_one(
    theirs: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"theirs\.bin has no label '__label__good' but"):
        train_rater(monkeypatch, "theirs", {"path": str(theirs), "label": "good"})
    Path("text.bin").write_text("no model at all")
    with pytest.raises(UserError, match=r"text\.bin does not load as a fastText model"):
        train_rater(monkeypatch, "theirs", {"path": "text.bin", "label": "good"})
    with pytest.raises(UserError, match=r"raters\.theirs: absent\.bin is no file"):
        train_rater(monkeypatch, "theirs", {"path": "absent.bin", "label": "good"})


def test_a_model_that_has_changed_since_is_an_error(
    theirs: Path, make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_documents("web", 0, TEXTS)
    train_rater(monkeypatch, "theirs", {"path": str(theirs), "label": "hq"})
    theirs.write_bytes(theirs.read_bytes() + b"!")
    with pytest.raises(UserError, match=r"theirs\.bin is missing or has changed"):
        score_shard(monkeypatch, "theirs", "web")


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_lines_are_what_python_makes_of_the_texts(texts: list[str], lowercase: bool) -> None:
    upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    table = str.maketrans(upper + "\n", upper.lower() + " ") if lowercase else {10: " "}
    expected = [text.translate(table) + "\n" for text in texts]
    assert [line.decode() for line in lines(Texts.of_strings(texts), lowercase)] == expected
    padded = pa.array(["before", *texts], pa.large_string())[1:]  # a column with an offset
    assert [one.decode() for one in lines(Texts.of_column(padded), lowercase)] == expected


def test_a_document_cannot_label_itself(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = lines(Texts.of_strings(["x\n__LABEL__bad ____label____good"]), True)
    assert b"__label__" not in without_labels(line)
    make_documents("prose", 0, [f"{text} __label__bad" for text in PROSE[:40]])
    make_documents("prose", 1, PROSE[40:])
    make_documents("noise", 0, [f"{text} __label__good ____label____new" for text in NOISE])
    artifact = train(monkeypatch)
    model = fasttext.load_model(str(artifact.member("model.bin")))
    assert sorted(model.get_labels()) == ["__label__bad", "__label__good"]
    assert artifact.counts["accuracy"] == 1.0
