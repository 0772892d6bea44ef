"""The program ``signatures`` on real files."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.deduplicate import signatures
from scripts.deduplicate.minhash import permutations, shingles
from scripts.deduplicate.minhash import signatures as minhash_signatures

SETTINGS = signatures.Settings(shingle_words=3, permutations=8, seed=1)


def write_documents(texts: list[str], heldout: list[str]) -> Path:
    def build(draft):
        for name, rows in (("documents", texts), ("heldout", heldout)):
            records = [
                {"id": i, "text": text, "source": "s", "url": f"{name}/{i}", "metadata": "{}"}
                for i, text in enumerate(rows)
            ]
            table = pa.Table.from_pylist(records, schema=tables.DOCUMENTS)
            tables.write(table, draft.path(f"{name}.parquet"))

    path = layout.documents("s", 0)
    make(build, output=path, module="scripts.common.files", settings={}, inputs=[])
    return path


def sign(monkeypatch: pytest.MonkeyPatch) -> Artifact:
    options = ["--source", "s", "--shard", "0", "--settings", SETTINGS.model_dump_json()]
    monkeypatch.setattr(sys, "argv", ["signatures", *options])
    signatures.main()
    return Artifact.load(layout.signatures("s", 0))


def test_rows_are_documents_then_held_out_ones(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, heldout = ["One two three four.", "", " \n"], ["One  two\nthree four.", "!?"]
    write_documents(texts, heldout)
    artifact = sign(monkeypatch)
    table = tables.read(artifact.member("signatures.parquet"))
    assert table.schema.equals(signatures.schema(8))
    assert table["id"].to_pylist() == [0, 1, 2, 0, 1]
    assert table["heldout"].to_pylist() == [False, False, False, True, True]
    exact = table["exact"].to_pylist()
    assert exact[0] == exact[3] and exact[1] == exact[2]
    assert len(set(exact)) == 3
    expected = minhash_signatures(shingles(texts[:1], 3), permutations(8, 1))
    minhashes = table["minhash"].to_pylist()
    assert minhashes[1:3] == [None, None] and minhashes[4] is None
    np.testing.assert_array_equal(np.frombuffer(minhashes[0], "<u4"), expected[0])
    assert minhashes[0] == minhashes[3]
    assert artifact.counts == {"documents": 3, "heldout": 2, "without_words": 3}


def test_empty_shard_has_a_table_without_rows(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents([], [])
    table = tables.read(sign(monkeypatch).member("signatures.parquet"))
    assert table.num_rows == 0
    assert table.schema.equals(signatures.schema(8))


def test_same_bytes_each_time(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_documents([f"some words {i} and more" for i in range(1500)], ["held out"])
    first = sign(monkeypatch).content
    layout.signatures("s", 0).parent.joinpath("manifest.json").unlink()
    assert json.dumps(sign(monkeypatch).content) == json.dumps(first)
