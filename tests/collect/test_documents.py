"""The program `collect.documents`: from readers' records to tables, and what it refuses."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.collect.documents import Settings, collect, document_id
from scripts.collect.heldout import is_held_out
from scripts.common import layout, tables
from scripts.common.errors import UserError

GOOD = [{"text": f"document {number}", "page": number} for number in range(200)]


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def settings(fraction=0.2, **source):
    source = {"reader": "jsonl", "paths": ["data.jsonl"], "domain": "general"} | source
    return Settings.model_validate({"source": source, "heldout": {"fraction": fraction}})


def write(lines, path="data.jsonl"):
    Path(path).write_bytes(
        b"".join(
            (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
            for line in lines
        )
    )


def rows(artifact, member):
    table = pq.read_table(artifact.member(f"{member}.parquet"))
    schema = tables.QUARANTINE if member == "quarantine" else tables.DOCUMENTS
    assert table.schema.equals(schema)
    return table.to_pylist()


def test_every_record_goes_to_exactly_one_table():
    write([*GOOD, b"{broken", {"text": "  "}])
    artifact = collect("crawl", 0, settings())
    documents, heldout = rows(artifact, "documents"), rows(artifact, "heldout")
    assert sorted(row["text"] for row in documents + heldout) == sorted(r["text"] for r in GOOD)
    assert {row["text"] for row in heldout} == {
        record["text"] for record in GOOD if is_held_out(record["text"], 0.2)
    }
    assert [(row["url"], row["reason"]) for row in rows(artifact, "quarantine")] == [
        ("data.jsonl:201", "malformed_json"),
        ("data.jsonl:202", "empty_text"),
    ]
    assert artifact.counts == {
        "documents": len(documents),
        "heldout": len(heldout),
        "quarantined": 2,
        "quarantined_by_reason": {"malformed_json": 1, "empty_text": 1},
        "repaired": 0,
        "skipped": 0,
        "skipped_by_reason": {},
        "without_license": len(documents),
        "bytes": sum(len(row["text"]) for row in documents),
    }
    first = documents[0]
    assert first["id"] == document_id("crawl", first["url"], first["text"]) >= 0
    assert json.loads(first["metadata"]) == {"page": int(first["text"].split()[1])}


def test_the_same_input_gives_the_same_bytes():
    write(GOOD)
    digest = collect("crawl", 0, settings()).digest
    layout.documents("crawl", 0).unlink()
    layout.documents("crawl", 0).with_name(layout.MANIFEST).unlink()
    assert collect("crawl", 0, settings()).digest == digest


def test_an_edit_that_keeps_the_size_is_seen():
    write([{"text": "old"}])
    before = collect("crawl", 0, settings(fraction=0))
    write([{"text": "new"}])
    assert collect("crawl", 0, settings(fraction=0)).digest != before.digest


def test_a_repeated_document_is_quarantined_and_the_first_kept():
    records = [{"text": "same", "link": "https://a"}, {"text": "same", "link": "https://b"}]
    write([*records, records[0]])
    artifact = collect(
        "crawl", 0, settings(fraction=0, fields={"url": "link"}, max_quarantined=0.5)
    )
    assert [row["url"] for row in rows(artifact, "documents")] == ["https://a", "https://b"]
    assert [row["reason"] for row in rows(artifact, "quarantine")] == ["duplicate_id"]


def test_a_text_that_utf8_cannot_carry_is_quarantined():
    write([*GOOD, b'{"text": "half of a pair: \\ud800"}', b'{"text": "x", "k": "\\udfff"}'])
    artifact = collect("crawl", 0, settings())
    assert artifact.counts["quarantined_by_reason"] == {"invalid_unicode": 2}


def test_the_sources_license_serves_where_a_document_has_none():
    write([{"text": "a", "terms": "MIT"}, {"text": "b", "terms": None}])
    artifact = collect(
        "crawl", 0, settings(fraction=0, license="CC0-1.0", fields={"license": "terms"})
    )
    assert [row["license"] for row in rows(artifact, "documents")] == ["MIT", "CC0-1.0"]


def test_too_much_quarantine_is_an_error_that_shows_the_first_reasons():
    write([*GOOD[:9], b"{broken"])
    with pytest.raises(UserError, match=r"1 of 10 .*\n  data.jsonl:10: malformed_json.*\n.*max_q"):
        collect("crawl", 0, settings(max_quarantined=0.09))
    assert not layout.documents("crawl", 0).exists()
    assert collect("crawl", 0, settings(max_quarantined=0.1)).counts["quarantined"] == 1


def test_an_empty_shard_is_fine_where_another_has_documents():
    write(GOOD[:2])
    shards = [collect("crawl", shard, settings(fraction=0, shards=3)) for shard in range(3)]
    assert [shard.counts["documents"] for shard in shards] == [1, 1, 0]
    assert rows(shards[2], "documents") == rows(shards[2], "heldout") == []


@pytest.mark.parametrize("shards", [1, 2])
def test_a_source_without_any_document_is_an_error(shards):
    write([])
    with pytest.raises(UserError, match="no document in the whole source"):
        collect("crawl", shards - 1, settings(shards=shards))


def test_a_shard_that_does_not_exist_is_an_error():
    with pytest.raises(UserError, match="no shard 2: `shards` is 2"):
        collect("crawl", 2, settings(shards=2))


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_holds_out_a_superset(text, one, other):
    smaller, larger = sorted((one, other))
    assert is_held_out(text, smaller) <= is_held_out(text, larger)
    assert not is_held_out(text, 0)
    assert is_held_out(text, 1)


def test_the_fraction_is_what_is_held_out():
    assert sum(is_held_out(str(number), 0.1) for number in range(10_000)) == pytest.approx(
        1000, abs=100
    )


def test_ids_tell_apart_the_same_characters_in_other_fields():
    ids = {document_id(*parts) for parts in (("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"))}
    assert len(ids) == 3
