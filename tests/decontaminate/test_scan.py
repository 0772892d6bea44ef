"""Index and scan against plain Python over sets of word tuples, and the programs on real files."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.errors import UserError
from scripts.decontaminate import index, scan
from scripts.decontaminate.grams import CANARY, canary_grams

Gram = tuple[str, ...]


def grams_of(text: str, n: int) -> set[Gram]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def item_grams(text: str, n: int) -> set[Gram]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words)} if 5 <= len(words) < n else grams_of(text, n)


def reference(texts: list[str], items: dict[str, str], n: int) -> tuple[list[int], list[tuple]]:
    grams = {item: item_grams(text, n) for item, text in items.items()}
    lengths = {len(gram) for of_item in grams.values() for gram in of_item}
    numbers, hits = [], []
    for document, text in enumerate(texts):
        held = {gram for length in lengths for gram in grams_of(text, length)}
        numbers.append(len(held & set().union(*grams.values())))
        shared = [(document, item, len(held & grams[item])) for item in sorted(items)]
        hits += [hit for hit in shared if hit[2]]
    return numbers, hits


TEXT = st.lists(st.sampled_from(["a", "B", "b!", "c\n", "é", "-"]), max_size=25).map(" ".join)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=5), st.lists(TEXT, min_size=1, max_size=5), st.integers(5, 8))
def test_hits_are_those_of_plain_python(texts: list[str], items: list[str], n: int) -> None:
    named = {f"item{number}": text for number, text in enumerate(items)}
    grams = scan.Index(index.item_grams("task", named, n))
    found = grams.scan(texts)
    hits = [
        (row["document"], row["item"], row["count_all"])
        for row in grams.attribute(found).to_pylist()
    ]
    documents = found["document"].to_pylist()
    numbers = [documents.count(document) for document in range(len(texts))]
    assert (numbers, hits) == reference(texts, named, n)


def write_documents(texts: list[str]) -> None:
    def build(draft):
        records = [
            {"id": 100 + i, "text": text, "source": "s", "url": str(i), "metadata": "{}"}
            for i, text in enumerate(texts)
        ]
        table = pa.Table.from_pylist(records, schema=tables.DOCUMENTS)
        tables.write(table, draft.path("documents.parquet"))

    make(build, output=layout.documents("s", 0), module="scripts.common.files", settings={},
         inputs=[])  # fmt: skip


def write_task(task: str, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    make(
        lambda draft: draft.path("items.jsonl").write_text(text, encoding="utf-8"),
        output=layout.task_items(task), module="scripts.common.files", settings={}, inputs=[],
    )  # fmt: skip


def write_items(task: str, items: Mapping[str, str]) -> None:
    write_task(task, [json.dumps({"id": name, "text": text}) for name, text in items.items()])


def run_index(monkeypatch: pytest.MonkeyPatch, tasks: list[str], n: int = 13) -> Artifact:
    settings = index.Settings(ngram_words=n, tasks=tasks)
    monkeypatch.setattr(sys, "argv", ["index", "--settings", settings.model_dump_json()])
    index.main()
    return Artifact.load(layout.contamination_index())


def run_scan(monkeypatch: pytest.MonkeyPatch, n: int = 13) -> Artifact:
    settings = scan.Settings(ngram_words=n).model_dump_json()
    options = ["--source", "s", "--shard", "0", "--settings", settings]
    monkeypatch.setattr(sys, "argv", ["scan", *options])
    scan.main()
    return Artifact.load(layout.attributes("s", "contamination", 0))


LONG = "The quick brown fox jumps over the lazy dog while seven wizards watch from afar"
SHORT = "What is 12 + 30? 42"
TOO_SHORT = "Just four words here"


def test_hits_name_their_documents_tasks_and_items(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_items("reading", {"fox": LONG, "tiny": TOO_SHORT})
    write_items("sums", {"sum": SHORT, "fox": LONG})
    built = run_index(monkeypatch, ["sums", "reading"])
    assert built.counts == {
        "reading": {"items": 2, "grams": 3, "too_short": 1},
        "sums": {"items": 2, "grams": 4, "too_short": 0},
    }
    clean = ["", "nothing of it", LONG.replace("lazy", "sleepy"), TOO_SHORT]
    write_documents([*clean, f"Before\n{LONG.upper()}, after", f"Q: {SHORT}. {SHORT}!"])
    artifact = run_scan(monkeypatch)
    attributes = tables.read(artifact.member("attributes.parquet"))
    assert attributes.schema.equals(scan.ATTRIBUTES)
    assert attributes["id"].to_pylist() == list(range(100, 106))
    assert attributes["contaminated"].to_pylist() == [0, 0, 0, 0, 3, 1]
    hits = tables.read(artifact.member("hits.parquet"))
    assert hits.schema.equals(scan.HITS)
    assert [tuple(row.values()) for row in hits.to_pylist()] == [
        (104, "reading", "fox", 3), (104, "sums", "fox", 3), (105, "sums", "sum", 1),
    ]  # fmt: skip
    assert artifact.counts == {
        "documents": 6, "contaminated": 2, "documents_by_task": {"reading": 1, "sums": 2},
    }  # fmt: skip


def test_several_row_groups(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items("sums", {"sum": SHORT})
    run_index(monkeypatch, ["sums"])
    write_documents([SHORT if row == 1700 else "other text" for row in range(2001)])
    artifact = run_scan(monkeypatch)
    contaminated = tables.read(artifact.member("attributes.parquet"))["contaminated"]
    assert contaminated.to_pylist() == [int(row == 1700) for row in range(2001)]
    assert tables.read(artifact.member("hits.parquet"))["id"].to_pylist() == [1800]


def test_empty_shard_and_no_task(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents([])
    built = run_index(monkeypatch, [])
    assert set(tables.read(built.member("grams.parquet"))["task"].to_pylist()) == {CANARY}
    artifact = run_scan(monkeypatch)
    assert artifact.counts == {"documents": 0, "contaminated": 0, "documents_by_task": {}}
    assert tables.read(artifact.member("attributes.parquet")).schema.equals(scan.ATTRIBUTES)
    assert tables.read(artifact.member("hits.parquet")).schema.equals(scan.HITS)


def test_task_without_items(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task("none", [])
    built = run_index(monkeypatch, ["none"])
    assert built.counts == {"none": {"items": 0, "grams": 0, "too_short": 0}}


@pytest.mark.parametrize("scan_words", [12, 14])
def test_canary_that_is_not_found_fails(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, scan_words: int
) -> None:
    write_documents(["some text"])
    run_index(monkeypatch, [])
    with pytest.raises(UserError, match="canary was not found"):
        run_scan(monkeypatch, n=scan_words)


def test_scan_that_finds_nothing_fails(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents(["some text"])
    run_index(monkeypatch, [])
    monkeypatch.setattr(scan.Grams, "find", lambda self, hashes: hashes[:0].astype(int))
    with pytest.raises(UserError, match="canary was not found"):
        run_scan(monkeypatch)
    assert not layout.attributes("s", "contamination", 0).exists()


def test_canary_has_several_grams() -> None:
    assert canary_grams(13) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["not json"], r"items.jsonl:1: no item"),
        (['{"id": "a", "text": "b"}', '{"id": "c"}'], r"items.jsonl:2: no item"),
        (['{"id": 1, "text": "b"}'], r"items.jsonl:1: `id` and `text` must be strings"),
        (['{"id": "a", "text": "b"}'] * 2, r"items.jsonl:2: item 'a' is there twice"),
    ],
)
def test_bad_items_are_named(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], message: str
) -> None:
    write_task("bad", lines)
    with pytest.raises(UserError, match=message):
        run_index(monkeypatch, ["bad"])


def test_task_called_canary_is_refused(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items(CANARY, {"a": LONG})
    with pytest.raises(UserError, match="choose another"):
        run_index(monkeypatch, [CANARY])
