"""The program ``signatures`` on real files."""

import json
import sys

import numpy as np
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.texts import Texts
from scripts.deduplicate import signatures
from scripts.deduplicate.minhash import permutations, shingles
from scripts.deduplicate.minhash import signatures as minhash_signatures

SETTINGS = signatures.Settings(shingle_words=3, permutations=8, seed=1)


def sign(monkeypatch: pytest.MonkeyPatch) -> Artifact:
    options = ["--source", "s", "--shard", "0", "--settings", SETTINGS.model_dump_json()]
    monkeypatch.setattr(sys, "argv", ["signatures", *options])
    signatures.main()
    return Artifact.load(layout.signatures("s", 0))


def test_rows_are_documents_then_held_out_ones(
    write_documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, heldout = ["One two three four.", "", " \n"], ["One  two\nthree four.", "!?"]
    write_documents("s", 0, [*enumerate(texts)], [*enumerate(heldout)])
    artifact = sign(monkeypatch)
    table = tables.read(artifact.member("signatures.parquet"))
    assert table.schema.equals(signatures.SCHEMA)
    assert table["id"].to_pylist() == [0, 1, 2, 0, 1]
    assert table["heldout"].to_pylist() == [False, False, False, True, True]
    exact = table["exact"].to_pylist()
    assert exact[0] == exact[3] and exact[1] == exact[2]
    assert len(set(exact)) == 3
    assert table["wordless"].to_pylist() == [False, True, True, False, True]
    signed = Texts.of_strings([*texts, *heldout])
    expected = minhash_signatures(shingles(signed, 3), permutations(8, 1))
    minhashes = np.load(artifact.member("minhash.npy"))
    np.testing.assert_array_equal(minhashes, expected, strict=True)
    assert (minhashes[0] == minhashes[3]).all()
    assert artifact.counts == {"documents": 3, "heldout": 2, "without_words": 3}


def test_empty_shard_has_a_table_without_rows(
    write_documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents("s", 0, [], [])
    artifact = sign(monkeypatch)
    table = tables.read(artifact.member("signatures.parquet"))
    assert table.num_rows == 0
    assert table.schema.equals(signatures.SCHEMA)
    assert np.load(artifact.member("minhash.npy"), mmap_mode="r").shape == (0, 8)


def test_same_bytes_each_time(write_documents, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"some words {i} and more" for i in range(1500)]
    write_documents("s", 0, [*enumerate(texts)], [(7, "held out")])
    first = sign(monkeypatch).content
    layout.signatures("s", 0).parent.joinpath("manifest.json").unlink()
    assert json.dumps(sign(monkeypatch).content) == json.dumps(first)
