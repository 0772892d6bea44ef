"""The reader of data sets: real files on the disk and over HTTP, with the hub shut out."""

import datetime
import functools
import gzip
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.collect.readers import reader_of
from scripts.common.code import ROOT
from scripts.common.config.collect import HuggingfaceSource
from scripts.common.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _here(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own, and no hub, which the tests' machine may not reach."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", workdir / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def source(**values):
    values = {"reader": "huggingface", "domain": "d", "dataset": "./data"} | values
    return HuggingfaceSource.model_validate(values)


def read(shard=0, **values):
    return list(reader_of(source(**values)).read(shard))


def write_lines(path, rows, opened=open):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with opened(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


class _Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """The tests' output is quiet."""

    def do_GET(self) -> None:
        if "cut" not in self.path:
            return super().do_GET()
        content = Path("served", self.path[1:]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])  # the connection breaks
        return None


@pytest.fixture
def server(workdir):
    (workdir / "served").mkdir()
    handler = functools.partial(_Server, directory=str(workdir / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_rows_carry_fields_and_metadata_from_parquet():
    Path("data").mkdir()
    table = pa.table(
        {
            "content": ["a", "b", None],
            "meta": [{"url": "https://x", "n": [1, 2]}, {"url": None, "n": []}, None],
            "day": [datetime.date(2024, 1, 2), None, None],
            "score": [0.5, float("nan"), None],
            "raw": [b"\xff", b"", None],
        }
    )
    pq.write_table(table, "data/train.parquet")
    first, second, third = read(text_field="content", fields={"url": "meta.url", "created": "day"})
    assert (first.text, first.url, first.created) == ("a", "https://x", "2024-01-02")
    assert first.locator == "./data/train/0:0"
    assert first.metadata == {"meta": {"url": "https://x", "n": [1, 2]}, "score": 0.5, "raw": None}
    assert (second.url, second.created, second.metadata["score"]) == (None, None, None)
    assert (third.locator, third.reason) == ("./data/train/0:2", "missing_text")


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_shards_are_disjoint_and_together_whole_and_name_rows_alike(shards):
    for number in range(3):
        write_lines(f"data/train-{number}.jsonl", [{"text": f"{number}.{i}"} for i in range(4)])
    write_lines("data/test.jsonl", [{"text": "another split"}])
    whole = {one.locator: one.text for one in read()}
    parts = [one for shard in range(shards) for one in read(shard, shards=shards)]
    assert len(parts) == len(whole) == 12
    assert {one.locator: one.text for one in parts} == whole


def test_splits_and_configurations_are_told_apart():
    write_lines("data/train.jsonl", [{"text": "train"}])
    write_lines("data/test.jsonl", [{"text": "test"}])
    assert [one.text for one in read(split="test")] == ["test"]
    write_lines("data/de/a.jsonl", [{"text": "deutsch"}])
    assert [one.text for one in read(data_files=["de/*.jsonl"])] == ["deutsch"]


def test_the_bytes_of_local_files_count():
    write_lines("data/train.jsonl", [{"text": "old"}])
    before = reader_of(source()).inputs(0)
    assert "data/train.jsonl" in before and "sha256" in before["data/train.jsonl"]
    write_lines("data/train.jsonl", [{"text": "new"}])
    assert reader_of(source()).inputs(0) != before


def test_of_the_hub_the_commit_counts():
    inputs = reader_of(source(dataset="allenai/c4", name="en", revision=COMMIT)).inputs(0)
    assert (inputs["dataset"], inputs["revision"]) == ("allenai/c4", COMMIT)
    assert "datasets" in inputs


def test_files_are_streamed_over_http(server):
    rows = [{"text": f"row {number}", "n": number} for number in range(500)]
    write_lines("served/a.jsonl.gz", rows[:300], gzip.open)
    write_lines("served/b.jsonl", rows[300:])
    files = [f"{server}/a.jsonl.gz", f"{server}/b.jsonl"]
    found = read(dataset="json", data_files=files)
    assert [one.text for one in found] == [row["text"] for row in rows]
    assert found[0].metadata == {"n": 0}
    assert found[-1].locator == "json/train/1:199"
    inputs = reader_of(source(dataset="json", data_files=files)).inputs(0)
    assert inputs[files[1]]["Content-Length"] == str(Path("served/b.jsonl").stat().st_size)
    assert "Last-Modified" in inputs[files[1]]


def test_a_file_that_is_not_there_is_an_error(server):
    for action in (lambda reader: list(reader.read(0)), lambda reader: reader.inputs(0)):
        reader = reader_of(source(dataset="json", data_files=[f"{server}/none.jsonl"]))
        with pytest.raises(UserError, match=r"correct .*data_files"):
            action(reader)


def test_a_connection_that_breaks_is_an_error_and_no_shorter_data_set(server, monkeypatch):
    import datasets.config

    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
    monkeypatch.setattr(datasets.config, "STREAMING_READ_RETRY_INTERVAL", 0)
    write_lines("served/cut.jsonl", [{"text": "x" * 1000}] * 500)
    with pytest.raises(UserError, match="json/train cannot be read"):
        read(dataset="json", data_files=[f"{server}/cut.jsonl"])


def test_the_hub_out_of_reach_is_an_error_with_the_remedy():
    with pytest.raises(UserError, match=rf"allenai/c4@{COMMIT}/en/train .*HF_HUB_OFFLINE"):
        read(dataset="allenai/c4", name="en", revision=COMMIT)


def test_the_token_is_never_shown(monkeypatch):
    """Not even where a library's message has it: here as the name of a file that it misses."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    write_lines("data/train.jsonl", [{"text": "a"}])
    with pytest.raises(UserError, match=r"\*\*\*") as raised:
        read(data_files=["hf_secret.jsonl"])
    assert "hf_secret" not in str(raised.value)


def test_signatures_of_addresses_are_not_shown(monkeypatch):
    """The hub's servers redirect to signed ones, which a library's message may have."""

    def fail(*_arguments, **_settings):
        raise OSError("403 Forbidden: https://cdn.example/none.jsonl?signature=secret&expires=1")

    write_lines("data/train.jsonl", [{"text": "a"}])
    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(UserError, match=r"none\.jsonl\?\.\.\.") as raised:
        read()
    assert "secret" not in str(raised.value)


def test_a_split_that_does_not_exist_is_an_error():
    write_lines("data/train.jsonl", [{"text": "a"}])
    with pytest.raises(UserError, match=r"\./data/dev cannot be read .*`split`"):
        read(split="dev")


def test_a_folder_that_is_missing_or_shadows_the_hub_is_an_error():
    with pytest.raises(UserError, match=r"\./data is no folder"):
        read()
    Path("allenai/c4").mkdir(parents=True)
    with pytest.raises(UserError, match=r"write \./allenai/c4"):
        read(dataset="allenai/c4", revision=COMMIT)


def test_code_in_a_data_set_does_not_run():
    Path("data").mkdir()
    Path("data/data.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    with pytest.raises(UserError, match="cannot be read"):
        read()
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dataset": "allenai/c4"}, "needs `revision`, the 40 digits.*got None"),
        ({"dataset": "allenai/c4", "revision": "main"}, "branch or tag.*got 'main'"),
        ({"dataset": "./data", "revision": COMMIT}, "take it out"),
        ({"dataset": "data/x/y", "revision": COMMIT}, "no data set of the hub"),
        ({"dataset": "json"}, "name the files in `data_files`"),
        ({"dataset": "json", "data_files": ["s3://x/y.jsonl"]}, "address .http or https."),
        ({"dataset": "json", "data_files": ["https://x/y?key=z"]}, "no pattern and no query"),
        ({"dataset": "a/b", "revision": COMMIT, "data_files": ["https://x/y"]}, "by their paths"),
    ],
)
def test_what_is_not_pinned_is_not_valid(values, message):
    with pytest.raises(ValueError, match=message):
        source(**values)


def test_other_readers_do_not_pay_for_the_import():
    code = "import sys, scripts.collect.readers; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
