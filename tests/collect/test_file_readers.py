"""The readers of users' files: JSON Lines, Parquet, text."""

import gzip
import json
import secrets
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.collect.readers import reader_of
from scripts.collect.records import Quarantine
from scripts.common.config.collect import JsonlSource, ParquetSource, TextSource
from scripts.common.errors import UserError


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def jsonl(**source):
    return reader_of(
        JsonlSource.model_validate(
            {"reader": "jsonl", "domain": "d", "paths": ["data.jsonl"]} | source
        )
    )


def parquet(**source):
    return reader_of(
        ParquetSource.model_validate(
            {"reader": "parquet", "domain": "d", "paths": ["data.parquet"]} | source
        )
    )


def text(**source):
    return reader_of(TextSource.model_validate({"reader": "text", "domain": "d"} | source))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "unfinished', "malformed_json"),
        (b'{"text": "x", "score": NaN}', "malformed_json"),
        (b'{"text": "x", "score": 1e999}', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'["text"]', "not_an_object"),
        (b'{"body": "x"}', "missing_text"),
        (b'{"text": null}', "missing_text"),
        (b'{"text": 7}', "wrong_type"),
        (b'{"text": "x", "link": 7}', "wrong_type"),
        (b'{"text": "caf\xe9"}', "not_utf8"),
    ],
)
def test_a_bad_line_is_quarantined_and_the_next_is_read(line, reason):
    Path("data.jsonl").write_bytes(line + b'\n\n{"text": "good"}')
    bad, good = jsonl(fields={"url": "link"}).read(0)
    assert (bad.locator, bad.reason) == ("data.jsonl:1", reason)
    assert bad.detail
    assert (good.locator, good.text, good.url) == ("data.jsonl:3", "good", None)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_compressed_lines_are_read_alike(suffix):
    content = b'\xef\xbb\xbf{"text": "a", "lang": "de", "n": 1}\n{"text": "b"}\r\n'
    with pa.output_stream(f"data{suffix}", compression="detect") as stream:
        stream.write(content)
    first, second = jsonl(paths=[f"data{suffix}"], fields={"language": "lang"}).read(0)
    assert (first.text, first.language, first.metadata) == ("a", "de", {"n": 1})
    assert (second.text, second.language, second.metadata) == ("b", None, {})


@pytest.mark.parametrize(("suffix", "codec"), [("gz", "gzip"), ("zst", "zstd")])
def test_files_of_several_compressed_streams_are_read_to_the_last(suffix, codec):
    """As they come of `cat a.jsonl.gz b.jsonl.gz`, and of what compresses in parallel."""
    streams = [b'{"text": "a"}\n{"text": "b"}\n{"te', b'xt": "c"}\n', b'{"text": "d"}\n']
    with Path(f"data.jsonl.{suffix}").open("wb") as file:
        for content in streams:
            file.write(
                pa.compress(content, codec, asbytes=True)
                if codec == "zstd"
                else gzip.compress(content)
            )
    records = jsonl(paths=[f"data.jsonl.{suffix}"]).read(0)
    assert [(one.locator, one.text) for one in records] == [
        (f"data.jsonl.{suffix}:{number}", text) for number, text in enumerate("abcd", start=1)
    ]


def test_names_with_dots_are_looked_up_within_objects():
    Path("data.jsonl").write_text('{"body": {"en": "x"}, "meta": {"url": "u", "n": 1}, "a.b": "c"}')
    (found,) = jsonl(text_field="body.en", fields={"url": "meta.url", "license": "a.b"}).read(0)
    assert (found.text, found.url, found.license) == ("x", "u", "c")
    (absent,) = jsonl(text_field="body.de").read(0)
    assert absent.reason == "missing_text"


def test_a_truncated_file_is_an_error_that_names_it():
    whole = gzip.compress(json.dumps({"text": "x" * 10_000}).encode() * 10)
    Path("data.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"data\.jsonl\.gz cannot be read to its end"):
        list(jsonl(paths=["data.jsonl.gz"]).read(0))


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.integers(0, 6), max_size=6), shards=st.integers(1, 8))
def test_shards_are_disjoint_and_together_whole(tmp_path_factory, lines, shards):
    folder = tmp_path_factory.mktemp("files")
    for number, count in enumerate([*lines, 1]):
        body = "".join(json.dumps({"text": f"{number}.{line}"}) + "\n" for line in range(count))
        (folder / f"{number}.jsonl").write_text(body)
        table = pa.table(
            {"text": [f"{number}.{line}" for line in range(count)]}, pa.schema([("text", "string")])
        )
        pq.write_table(table, folder / f"{number}.parquet")
    wanted = sorted(f"{n}.{line}" for n, count in enumerate([*lines, 1]) for line in range(count))
    for create in (jsonl, parquet):
        reader = create(paths=[str(folder)], shards=shards)
        read = [record.text for shard in range(shards) for record in reader.read(shard)]
        assert sorted(read) == wanted


def test_patterns_match_each_file_once_in_order():
    for name in ("b/2.txt", "a/1.txt", "a/skipped.md", "odd[1].txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    reader = text(paths=["odd[1].txt", "a", "**/*.txt"])
    assert [record.text for record in reader.read(0)] == ["a/1.txt", "b/2.txt", "odd[1].txt"]


@pytest.mark.parametrize("paths", [["missing/*.txt"], []])
def test_no_file_is_an_error(paths):
    with pytest.raises(UserError, match="`paths` of this text source"):
        text(paths=paths)


def test_text_files_that_are_not_utf8_are_quarantined():
    Path("good.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9\r\n")
    Path("bad.txt").write_bytes(b"caf\xe9")
    bad, good = text(paths=["."]).read(0)
    assert bad.reason == "not_utf8"
    assert good.text == "café\r\n"


def test_parquet_rows_carry_fields_and_scalar_metadata():
    table = pa.table(
        {
            "body": pa.array(["a", "b", None]),
            "link": pa.array(["u", "v", "w"]).dictionary_encode(),
            "score": [0.5, float("nan"), None],
            "vector": [[1.0], [2.0], [3.0]],
        }
    )
    pq.write_table(table, "data.parquet")
    first, second, third = parquet(text_field="body", fields={"url": "link"}).read(0)
    assert (first.text, first.url, first.metadata) == ("a", "u", {"score": 0.5})
    assert (second.text, second.url, second.metadata) == ("b", "v", {"score": None})
    assert (third.locator, third.reason) == ("data.parquet:2", "missing_text")


def test_parquet_text_that_is_not_utf8_is_quarantined_alone():
    values = pa.array([b"good", b"caf\xe9"], pa.binary())
    broken = pa.StringArray.from_buffers(2, *values.buffers()[1:])
    pq.write_table(pa.table({"text": broken}), "data.parquet")
    good, bad = parquet().read(0)
    assert good.text == "good"
    assert (bad.locator, bad.reason) == ("data.parquet:1", "not_utf8")


@pytest.mark.parametrize("columns", [{"body": ["a", "b"]}, {"text": [1, 2]}])
def test_a_wrong_schema_loses_all_rows_of_the_file(columns):
    pq.write_table(pa.table(columns), "data.parquet")
    (found,) = parquet().read(0)
    assert isinstance(found, Quarantine)
    assert (found.reason, found.records) == ("wrong_schema", 2)


def test_a_parquet_file_is_never_held_whole():
    texts = [secrets.token_hex(2000) for _ in range(8000)]
    pq.write_table(pa.table({"text": texts}), "data.parquet", row_group_size=100)
    before, most = pa.total_allocated_bytes(), 0
    for _ in parquet().read(0):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < Path("data.parquet").stat().st_size / 3


def test_a_file_that_is_not_parquet_is_an_error():
    Path("data.parquet").write_text("hello")
    with pytest.raises(UserError, match=r"data\.parquet is no readable Parquet file"):
        list(parquet().read(0))
