"""Copies planted on purpose, and what the rules find of them."""

from pathlib import Path

import numpy as np
import pytest

from scripts.common import tables
from scripts.common.errors import UserError
from scripts.decontaminate import copies, planted
from scripts.decontaminate.hybrid_rule import HybridMatcher
from scripts.decontaminate.matching import Matches
from tests.decontaminate import reference
from tests.decontaminate.conftest import Stage, write_documents, write_items

RULES = ["gpt3", "llama3", {"kind": "hybrid"}]


def problem(number: int) -> str:
    names = ("Ann", "Ben", "Cem", "Dora", "Eve", "Fay", "Gus", "Hal")
    things = ("apples", "books", "coins", "dice", "eggs", "figs", "gems", "hats", "inks")
    return (
        f"{names[number % 8]} has {number + 3} {things[number % 9]}, and buys {number + 40} more "
        f"of the {things[number % 7]} that a shop near {names[number % 5]}'s house sells for "
        f"{number + 2} cents each - how many does the buyer need in total, number {number}?"
    )


@pytest.fixture
def corpus(workdir: Path) -> list[str]:
    write_items("sums", {f"p{number}": problem(number) for number in range(30)})
    texts = [
        f"Document {number} tells of weather. {'It rains there. ' * 40}" for number in range(50)
    ]
    write_documents([*texts, problem(4)])
    return texts


def rates(stage: Stage) -> dict:
    return stage.planted().counts["recall"]


def test_recall_by_kind_and_false_positives(
    corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("train.jsonl").write_text('{"text": "nothing like it"}\n')
    negatives = {"train": {"paths": ["train.jsonl"], "fields": ["text"]}}
    stage = Stage(
        monkeypatch, rules=RULES, template_items=3,
        planted={"items": 12, "documents": 51, "negatives": negatives},
    )  # fmt: skip
    stage.index(["sums"])
    artifact = stage.planted()
    recall = artifact.counts["recall"]
    assert artifact.counts["items"] == 12
    for name in ("gpt3", "llama3", "hybrid"):
        same = [recall[name][kind] for kind in ("verbatim", "re-wrapped", "re-cased")]
        assert same == [1, 1, 1]
    assert recall["gpt3"]["reworded by rule"] == 0
    assert recall["hybrid"]["reworded by rule"] == 1
    # The one document of the corpus that is a copy counts where it is: among the documents.
    false_positives = artifact.counts["false_positives"]
    assert false_positives["gpt3"] == {"corpus": round(1 / 51, 4), "train": 0.0}
    table = tables.read(artifact.member("recall.parquet"))
    assert table.schema.equals(planted.RECALL)
    other = tables.read(artifact.member("false_positives.parquet"))
    assert other.schema.equals(planted.FALSE_POSITIVES)
    for rows, key in ((table.to_pylist(), "kind"), (other.to_pylist(), "negatives")):
        curves: dict = {}
        for row in rows:
            if row["threshold"] is not None:
                curves.setdefault((row["rule"], row[key]), []).append(row["found"])
        assert {len(curve) for curve in curves.values()} == {len(planted.THRESHOLDS)}
        assert all(curve == sorted(curve, reverse=True) for curve in curves.values())


def test_shards_change_nothing(corpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, rules=RULES, planted={"items": 5, "documents": 20})
    stage.index(["sums"])
    members = [stage.planted().content["members"]]
    write_documents(corpus[:7], shard=0)
    write_documents([*corpus[7:], problem(4)], shard=1, first=107)
    members.append(stage.planted(shards=2).content["members"])
    assert members[0] == members[1]


def test_a_rule_that_misses_verbatim_copies_fails(
    corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch, rules=RULES, planted={"items": 5})
    stage.index(["sums"])
    match = HybridMatcher.match

    def blind(self, words, least) -> Matches:
        found = match(self, words, least)
        return found.where(found.item != 7)

    monkeypatch.setattr(HybridMatcher, "match", blind)
    Stage(monkeypatch, rules=RULES, planted={"items": 1}).planted()
    with pytest.raises(UserError, match="'hybrid' misses 1 of 30 verbatim copies"):
        Stage(monkeypatch, rules=RULES, planted={"items": 30}).planted()


def test_no_items_and_no_documents(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents([])
    stage = Stage(monkeypatch, rules=RULES)
    stage.index()
    counts = stage.planted().counts
    assert counts["items"] == 0
    assert set(counts["recall"]["gpt3"].values()) == {None}
    assert counts["false_positives"]["gpt3"] == {"corpus": None}


def test_corpus_is_no_name_for_negatives(
    corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.jsonl").write_text('{"text": "b"}')
    taken = {"corpus": {"paths": ["a.jsonl"], "fields": ["text"]}}
    stage = Stage(monkeypatch, planted={"negatives": taken})
    stage.index(["sums"])
    with pytest.raises(UserError, match="choose another name"):
        stage.planted()


def test_kinds_change_what_they_say() -> None:
    text = problem(9)
    words = reference.words_of(text)
    for kind in ("re-wrapped", "re-cased"):
        assert reference.words_of(copies.KINDS[kind](text)) == words
        assert copies.KINDS[kind](text) != text
    reworded = reference.words_of(copies.reworded(text))
    assert 0.5 * len(words) < reference.lcs(words, reworded) < len(words)
    other = reference.words_of(copies.reordered(text))
    assert sorted(other) == sorted(reworded) and other != reworded
    assert copies.digits_changed("9 of 19, 007") == "10 of 20, 8"
    assert "one two" in copies.digits_spelled("12 things")
    assert int(copies.digits_translated("12")) == 12  # digits to Python as well
    assert (
        copies.repunctuated('He said "1,000", no-one\'s.')
        == "He said \u201c1000\u201c no \u2013 one\u2019s"
    )
    assert np.max([len(line) for line in copies.rewrapped(text).split("\n")]) <= 45
