"""Raters: repeatable to the byte, right on what they can learn, loud where they cannot."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts.annotate import quality, rater
from scripts.annotate.model import normalise
from scripts.common import canonical, layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.config.annotate import Rater
from scripts.common.errors import UserError

MakeDocuments = Callable[[str, int, list[str]], Artifact]
RATER = Rater(
    positive=["prose"], negative=["noise"], documents_per_side=60, buckets=1000, epochs=20
)
SETTINGS = rater.Settings(rater=RATER, shards={"prose": 2, "noise": 1})

PROSE = [f"the river runs past house number {n}\nand the old mill" for n in range(80)]
NOISE = [f"buy cheap pills {n} click here now" for n in range(80)]


@pytest.fixture
def sources(make_documents: MakeDocuments) -> None:
    make_documents("prose", 0, PROSE[:40])
    make_documents("prose", 1, PROSE[40:])
    make_documents("noise", 0, NOISE)


def train(settings: rater.Settings = SETTINGS) -> Artifact:
    return make(
        lambda draft: rater.build(draft, "good", settings),
        output=layout.rater("good"),
        module="scripts.annotate.rater",
        settings=settings.model_dump(mode="json"),
        inputs=[content for source in settings.shards for content in settings.documents(source)],
    )


def score(source: str, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    command = ["quality", "--source", source, "--shard", "0", "--rater", "good", "--settings", "{}"]
    monkeypatch.setattr(sys, "argv", command)
    quality.main()
    artifact = Artifact.load(layout.attributes(source, "good", 0))
    table = tables.read(artifact.member("attributes.parquet"))
    documents = Artifact.load(layout.documents(source, 0)).member("documents.parquet")
    tables.check_aligned(table, tables.read(documents).column("id").to_pylist(), documents)
    return table.column("good").to_numpy()


@pytest.mark.usefixtures("sources")
def test_scores_are_probabilities_of_good(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = train()
    assert artifact.counts == {
        "accuracy": 1.0,
        "documents_per_side": 60,
        "training": 108,
        "validation": 12,
    }
    good, bad = score("prose", monkeypatch), score("noise", monkeypatch)
    assert good.min() > 0.5 > bad.max()
    assert bad.min() >= 0 and good.max() <= 1


@pytest.mark.usefixtures("sources")
def test_training_again_gives_the_same_bytes() -> None:
    first = canonical.sha256_file(train().member("model.bin"))
    layout.rater("good").with_name(layout.MANIFEST).unlink()
    assert canonical.sha256_file(train().member("model.bin")) == first


@pytest.mark.usefixtures("sources")
def test_both_sides_give_equally_many_documents(make_documents: MakeDocuments) -> None:
    make_documents("noise", 0, NOISE[:20])
    assert train().counts["documents_per_side"] == 20


@pytest.mark.usefixtures("sources")
def test_an_empty_side_is_an_error(make_documents: MakeDocuments) -> None:
    make_documents("noise", 0, [])
    with pytest.raises(UserError, match=r"raters.good: .*'negative': 0.* too few"):
        train()


def test_alike_sides_and_alike_scores_are_loud(
    make_documents: MakeDocuments,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for source, shard in (("prose", 0), ("prose", 1), ("noise", 0)):
        make_documents(source, shard, ["all the same"] * 40)
    with caplog.at_level(logging.WARNING):
        train()
        score("prose", monkeypatch)
    assert "is close to chance" in caplog.text
    assert "scores all documents alike" in caplog.text


@pytest.mark.usefixtures("sources")
def test_an_empty_shard_has_an_empty_table(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch, workdir: Path
) -> None:
    train()
    make_documents("empty", 0, [])
    assert score("empty", monkeypatch).shape == (0,)


def test_a_document_cannot_label_itself() -> None:
    assert normalise("__label__good\tNews\r\n__LABEL__bad\x85 x") == "labelgood news labelbad x"
