"""Index, scan, flagged items: the programs on real files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from scripts.common import layout, tables
from scripts.common.errors import UserError
from scripts.decontaminate import canary, flagged, scan
from scripts.decontaminate.embedding_rule import EmbeddingMatcher
from scripts.decontaminate.hybrid_rule import HybridMatcher
from scripts.decontaminate.matching import Matches
from scripts.decontaminate.ngram_rule import NgramMatcher
from tests.decontaminate.conftest import (
    ENGLISH,
    Stage,
    contaminated,
    hits,
    write_documents,
    write_items,
    write_task,
)

LONG = ENGLISH[0]
SHORT = "What is 12 + 30? 42"
TOO_SHORT = "Just four words here"
BOTH = ["gpt3", {"kind": "hybrid"}]


def test_hits_name_their_documents_items_and_places(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_items("reading", {"fox": LONG, "tiny": TOO_SHORT})
    write_items("sums", {"sum": SHORT, "fox": LONG})
    stage = Stage(monkeypatch)
    counts = stage.index(["sums", "reading"]).counts
    assert {name: (one["items"], one["too_short"]) for name, one in counts.items()} == {
        "reading": (2, 1), "sums": (2, 0),
    }  # fmt: skip
    clean = ["", "nothing of it", LONG.replace("lazy", "sleepy"), TOO_SHORT]
    texts = [*clean, f"Before İ\n{LONG.upper()}, after", f"Q: {SHORT}. {SHORT}!"]
    write_documents(texts)
    artifact = stage.scan()
    attributes = tables.read(artifact.member("attributes.parquet"))
    assert attributes.schema.equals(scan.ATTRIBUTES)
    assert attributes["id"].to_pylist() == list(range(100, 106))
    assert contaminated(artifact) == [0, 0, 0, 0, 2, 1]
    found = hits(artifact)
    assert [(hit["id"], hit["benchmark"], hit["item"], hit["ngrams"]) for hit in found] == [
        (104, "reading", "fox", 3), (104, "sums", "fox", 3), (105, "sums", "sum", 1),
    ]  # fmt: skip
    for hit in found:
        assert texts[hit["id"] - 100][hit["start"] : hit["end"]] == hit["excerpt"]
    assert found[0]["excerpt"] == LONG.upper()
    assert artifact.counts["documents_by_benchmark"] == {"reading": 1, "sums": 2}
    assert artifact.counts["contaminated"] == 2


def test_dearer_rules_look_at_what_cheaper_ones_leave(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_items("reading", {"both": " ".join(ENGLISH)})
    edited = " ".join(ENGLISH).replace("lazy", "idle").replace("12", "a dozen").replace("at", "on")
    write_documents([" ".join(ENGLISH), edited, "other words of no interest"])
    stage = Stage(monkeypatch, rules=BOTH)
    stage.index(["reading"])
    artifact = stage.scan()
    assert [(hit["id"], hit["rule"]) for hit in hits(artifact)] == [(100, "gpt3"), (101, "hybrid")]
    assert contaminated(artifact) == [1, 1, 0]
    efforts = artifact.counts["rules"]
    assert efforts["gpt3"]["documents"] == 3
    assert efforts["hybrid"] == {"documents": 2, "candidates": 1, "comparisons": 1}


def test_shards_and_batches_change_nothing(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items("sums", {"sum": SHORT, "long": " ".join(ENGLISH)})
    texts = [
        SHORT if row % 700 == 5 else " ".join(ENGLISH).replace("fox", f"cat {row}")
        if row % 900 == 7 else f"other text {row} İ" for row in range(2100)
    ]  # fmt: skip
    stage = Stage(monkeypatch, rules=BOTH)
    stage.index(["sums"])
    write_documents(texts)
    whole = stage.scan()
    assert sum(map(bool, contaminated(whole))) == 6
    monkeypatch.setattr("scripts.decontaminate.hashed_words._CHUNK_BYTES", 100)
    one, items = hits(whole), tables.read(stage.items().member("items.parquet"))
    write_documents(texts[:900], shard=0)
    write_documents(texts[900:], shard=1, first=1000)
    parts = [stage.scan(0), stage.scan(1)]
    assert [hit for part in parts for hit in hits(part)] == one
    merged = stage.items(shards=2)
    assert tables.read(merged.member("items.parquet")).equals(items)


def test_items_are_flagged_over_all_shards(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"w{number}" for number in range(60)]
    write_items("task", {"long": " ".join(words), "unseen": LONG, "tiny": TOO_SHORT})
    stage = Stage(monkeypatch, rules=["llama3", "palm"])
    stage.index(["task"])
    # Each holds 28 of 60 words: not half. Together they hold 56.
    write_documents([" ".join(words[:28])], shard=0)
    write_documents([" ".join(words[28:56])], shard=1, first=200)
    assert [contaminated(stage.scan(shard)) for shard in (0, 1)] == [[0], [0]]
    artifact = stage.items(shards=2)
    table = tables.read(artifact.member("items.parquet"))
    assert table.schema.equals(flagged.FLAGGED)
    rows = {(row["rule"], row["item"]): row for row in table.to_pylist()}
    assert len(rows) == 6
    long = rows["llama3", "long"]
    assert (long["score"], long["flagged"], long["documents"]) == (round(56 / 60, 4), True, 0)
    assert (long["remaining_score"], long["remains"]) == (round(56 / 60, 4), True)
    assert rows["palm", "long"]["score"] == round(42 / 53, 4)
    assert not rows["llama3", "unseen"]["flagged"]
    assert not rows["llama3", "tiny"]["findable"]
    assert artifact.counts["llama3"]["task"] == {
        "items": 3, "findable": 2, "flagged": 1, "remains": 1,
    }  # fmt: skip


def test_what_is_dropped_does_not_remain(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items("task", {"fox": LONG})
    write_documents([LONG])
    stage = Stage(monkeypatch, rules=BOTH)
    stage.index(["task"])
    stage.scan()
    rows = tables.read(stage.items().member("items.parquet")).to_pylist()
    told = {row["rule"]: (row["flagged"], row["documents"], row["remains"]) for row in rows}
    assert told == {"gpt3": (True, 1, False), "hybrid": (False, 0, False)}


def test_a_dearer_rule_flags_what_it_finds(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items("task", {"both": " ".join(ENGLISH), "none": "other words " * 20})
    write_documents([" ".join(ENGLISH).replace("lazy", "idle").replace("12", "nine")])
    stage = Stage(monkeypatch, rules=[{"kind": "hybrid"}])
    stage.index(["task"])
    stage.scan()
    rows = tables.read(stage.items().member("items.parquet")).to_pylist()
    told = {row["item"]: (row["flagged"], row["documents"], row["remains"]) for row in rows}
    assert told == {"both": (True, 1, False), "none": (False, 0, False)}
    assert rows[0]["score"] == round(32 / 34, 4)


def test_empty_shard_and_no_task(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents([])
    stage = Stage(monkeypatch, rules=["gpt3", "llama3", {"kind": "hybrid"}])
    built = stage.index()
    assert tables.read(built.member("items.parquet"))["benchmark"].to_pylist() == [canary.CANARY]
    artifact = stage.scan()
    assert artifact.counts["documents"] == artifact.counts["contaminated"] == 0
    for name, schema in (
        ("attributes", scan.ATTRIBUTES), ("hits", scan.HITS), ("grams", scan.GRAMS),
    ):  # fmt: skip
        assert tables.read(artifact.member(f"{name}.parquet")).schema.equals(schema)
    table = tables.read(stage.items().member("items.parquet"))
    assert table.schema.equals(flagged.FLAGGED)
    assert table.num_rows == 0


def test_benchmark_without_items(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("none.jsonl").write_text("\n")
    stage = Stage(monkeypatch, benchmarks={"none": {"paths": ["none.jsonl"], "fields": ["text"]}})
    assert stage.index().counts["none"]["items"] == 0
    assert "none has no items" in caplog.text


BROKEN = {"gpt3": NgramMatcher, "hybrid": HybridMatcher, "embedding": EmbeddingMatcher}


@pytest.mark.parametrize("name", BROKEN)
def test_scan_that_finds_nothing_fails(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, name: str
) -> None:
    """Each rule alone is broken: those that work do not cover for it."""
    write_documents(["some text"])
    stage = Stage(monkeypatch, rules=[*BOTH, {"kind": "embedding", "path": encoder}])
    stage.index()
    monkeypatch.setattr(BROKEN[name], "match", lambda self, words, least: Matches.joined([]))
    with pytest.raises(UserError, match=f"'{name}' did not find the planted canary"):
        stage.scan()
    assert not layout.attributes("s", "contamination", 0).exists()


def test_index_without_the_rules_ngrams(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents(["some text"])
    Stage(monkeypatch).index()
    with pytest.raises(UserError, match="no n-grams of 8 words"):
        Stage(monkeypatch, rules=["palm"]).scan()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["not json"], r"items.jsonl:1: no JSON"),
        (['{"id": "a", "text": "b"}', '{"id": "c"}'], r"items.jsonl:2: no item, its 'text'"),
        (['{"id": [], "text": "b"}'], r"items.jsonl:1: no item, it has no `id`"),
        (['{"id": "a", "text": "b"}'] * 2, r"items.jsonl:2: item 'a' is there twice"),
        (["[1]"], r"items.jsonl:1: no item, but list"),
        (["[" * 100_000], r"items.jsonl:1: no JSON"),
    ],
)
def test_bad_items_are_named(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], message: str
) -> None:
    write_task("bad", lines)
    with pytest.raises(UserError, match=message):
        Stage(monkeypatch).index(["bad"])


def test_benchmark_files_are_read_as_they_come(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sets").mkdir()
    with gzip.open("sets/a.json.gz", "wt") as stream:
        json.dump({"canary": "x", "examples": [{"input": LONG, "target": ["a", 1]}]}, stream)
    Path("sets/b.jsonl").write_text(json.dumps({"input": "Zwölf Wörter", "target": "b"}))
    sets = {"paths": ["sets"], "fields": ["input", "target"], "records": "examples"}
    items = Stage(monkeypatch, benchmarks={"sets": sets}).index().member("items.parquet")
    assert [tuple(row.values()) for row in tables.read(items).to_pylist()[1:]] == [
        ("sets", "a-1", f"{LONG}\na\n1", 17), ("sets", "b-1", "Zwölf Wörter\nb", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", b"{}", r"a.json: no list of items under 'examples'"),
        ("a.json", b'{"examples": [1]}', r"a.json, item 1: no item, but int"),
        ("a.json.gz", b"no gzip", r"a.json.gz cannot be read"),
        ("a.jsonl", b"\xff", r"a.jsonl cannot be read"),
        ("a.csv", b"", r"'mine': a.csv is none of"),
        (None, b"", r"'mine': no file matches 'a\.\*'"),
    ],
)
def test_unreadable_benchmarks_are_named(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, data: bytes, message: str
) -> None:
    if name:
        Path(name).write_bytes(data)
    mine = {"paths": ["a.*"], "fields": ["input"], "records": "examples"}
    with pytest.raises(UserError, match=message):
        Stage(monkeypatch, benchmarks={"mine": mine}).index()


def test_names_taken_are_refused(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items(canary.CANARY, {"a": LONG})
    with pytest.raises(UserError, match="rename it"):
        Stage(monkeypatch).index([canary.CANARY])
    Path("a.jsonl").write_text("")
    sums = {"sums": {"paths": ["a.jsonl"], "fields": ["text"]}}
    with pytest.raises(UserError, match="choose another"):
        Stage(monkeypatch, benchmarks=sums).index(["sums"])


def test_other_benchmark_bytes_make_another_index(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch, benchmarks={"mine": {"paths": ["a.jsonl"], "fields": ["text"]}})
    manifests = []
    for text in (LONG, SHORT, LONG):
        Path("a.jsonl").write_text(json.dumps({"text": text}))
        manifests.append(stage.index().path.with_name(layout.MANIFEST).read_bytes())
    assert manifests[0] == manifests[2] != manifests[1]
    assert "a.jsonl" in json.loads(manifests[0])["settings"]["files"]


def test_canary_is_long_enough() -> None:
    assert len(canary.item().split()) == 24
    assert np.all([len(word) == 12 for word in canary.item().split()])
