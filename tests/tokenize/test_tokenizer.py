import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.tokenize import tokenizer
from scripts.tokenize.tokenizer import BOS, EOS, train
from tests.tokenize.data import write_shard

SYLLABLES = ["ka", "to", "mi", "re", "so", "lu"]
WORDS = ["".join(parts) for parts in itertools.product(SYLLABLES, repeat=3)]
TEXTS = [f"The {word} of the year {year}: naïve ☃\n" for year, word in enumerate(WORDS, 1800)]
TRAINED = train(TEXTS, 300)


def run(monkeypatch: pytest.MonkeyPatch, name: str, sources: dict[str, int], **keys) -> Artifact:
    values = json.dumps({"tokenizer": {"name": name, **keys}, "sources": sources})
    monkeypatch.setattr(sys, "argv", ["tokenizer", "--settings", values])
    tokenizer.main()
    return Artifact.load(layout.tokenizer(name))


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    ids = TRAINED(text, add_special_tokens=False)["input_ids"]
    if BOS not in text and EOS not in text:
        assert TRAINED.decode(ids) == text


def test_bos_comes_by_itself_and_digits_stay_single(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard("web", TEXTS[:90])
    write_shard("web", TEXTS[90:], shard=1, first_id=91)
    artifact = run(monkeypatch, "ours", {"web": 2}, vocabulary=300)
    loaded = AutoTokenizer.from_pretrained(artifact.folder)
    assert loaded.tokenize("1999", add_special_tokens=True) == [BOS, "1", "9", "9", "9"]
    assert (loaded.bos_token, loaded.eos_token) == (BOS, EOS)
    assert not [token for token in loaded.get_vocab() if any(map(str.isdigit, token[1:]))]
    assert artifact.counts == {
        "bos": loaded.bos_token_id, "eos": loaded.eos_token_id, "vocabulary": 300,
    }  # fmt: skip
    assert len(loaded) == 300


def test_the_bytes_depend_on_neither_threads_nor_shards(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard("web", TEXTS)
    artifact = run(monkeypatch, "ours", {"web": 1}, vocabulary=350)
    shutil.rmtree("results")
    write_shard("web", TEXTS[100:], first_id=101)
    write_shard("web", TEXTS[:100], shard=1)
    config = {"tokenizer": {"name": "ours", "vocabulary": 350}, "sources": {"web": 2}}
    subprocess.run(
        [sys.executable, "-m", "scripts.tokenize.tokenizer", "--settings", json.dumps(config)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAYON_NUM_THREADS": "1"},
        check=True,
    )
    assert Artifact.load(layout.tokenizer("ours")).content == artifact.content


def test_nothing_selected_is_an_error(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard("web", ["a"], dropped=[1])
    with pytest.raises(UserError, match="no selected document"):
        run(monkeypatch, "ours", {"web": 1}, vocabulary=300)


def test_a_tokenizer_is_taken_as_it_is(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TRAINED.save_pretrained("theirs")
    Path("theirs/model.safetensors").write_bytes(b"weights, not to be copied")
    artifact = run(monkeypatch, "copy", {}, path="theirs")
    assert "model.safetensors" not in artifact.content["members"]
    loaded = AutoTokenizer.from_pretrained(artifact.folder)
    assert loaded("Any 12 texts ☃")["input_ids"] == TRAINED("Any 12 texts ☃")["input_ids"]


def test_a_changed_tokenizer_is_taken_anew(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TRAINED.save_pretrained("theirs")
    assert run(monkeypatch, "copy", {}, path="theirs").counts["vocabulary"] == 300
    train(TEXTS, 310).save_pretrained("theirs")
    assert run(monkeypatch, "copy", {}, path="theirs").counts["vocabulary"] == 310


def test_paths_that_hold_no_tokenizer_are_errors(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.path: absent is no folder"):
        run(monkeypatch, "copy", {}, path="absent")
    Path("empty").mkdir()
    with pytest.raises(UserError, match=r"tokenizer\.path: empty does not load"):
        run(monkeypatch, "copy", {}, path="empty")
    Path("code").mkdir()
    Path("code/tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": [None, "theirs.Theirs"]}})
    )
    Path("code/theirs.py").write_text("raise SystemExit('remote code ran')\n")
    with pytest.raises(UserError, match=r"tokenizer\.path: code does not load"):
        run(monkeypatch, "copy", {}, path="code")
    TRAINED.save_pretrained("endless")
    config = json.loads(Path("endless/tokenizer_config.json").read_text())
    Path("endless/tokenizer_config.json").write_text(json.dumps({**config, "eos_token": None}))
    with pytest.raises(UserError, match="no eos token"):
        run(monkeypatch, "copy", {}, path="endless")
