import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from scripts.common import layout, token_store
from scripts.common.artifact import make
from scripts.common.errors import UserError
from scripts.common.token_store import TokenStore
from scripts.tokenize import tokens
from scripts.tokenize.tokenizer import EOS, Settings, build
from tests.tokenize.data import write_shard

TEXTS = [
    f"The number {number} is naïve ☃ {EOS} and\n\tlong {'x ' * number}" for number in range(300)
]


def write_tokenizer() -> None:
    settings = Settings.model_validate(
        {"tokenizer": {"name": "ours", "vocabulary": 300}, "sources": {"web": 1}}
    )
    make(
        lambda draft: build(draft, {"web": [write_shard("train", TEXTS)]}, settings),
        output=layout.tokenizer("ours"),
        module="scripts.tokenize.tokenizer",
        settings=None,
        inputs=[],
    )


def run(monkeypatch: pytest.MonkeyPatch) -> TokenStore:
    arguments = ["--source", "web", "--shard", "0", "--settings", json.dumps({"tokenizer": "ours"})]
    monkeypatch.setattr(sys, "argv", ["tokens", *arguments])
    tokens.main()
    return TokenStore.open(layout.tokens("ours", "web", 0))


def test_documents_come_back_between_bos_and_eos(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer()
    write_shard("web", TEXTS, first_id=11, dropped=[12, 310])
    store = run(monkeypatch)
    kept = [text for number, text in enumerate(TEXTS, 11) if number not in (12, 310)]
    decoder = Tokenizer.from_file(str(layout.tokenizer("ours").with_name("tokenizer.json")))
    bos, eos = store.counts["bos"], store.counts["eos"]
    assert store.document_ids.tolist() == [one for one in range(11, 311) if one not in (12, 310)]
    for document, text in enumerate(kept):
        ids = store.ids[store.offsets[document] : store.offsets[document + 1]].tolist()
        assert (ids[0], ids[-1]) == (bos, eos)
        assert not {bos, eos} & set(ids[1:-1])  # the text's own "<|eos|>" ends nothing
        assert decoder.decode(ids[1:-1]) == text
    assert store.ids.dtype == np.dtype("<u2")
    assert store.counts["documents"] == len(kept)
    assert store.counts["tokens"] == len(store.ids)


def test_a_repeated_document_is_stored_once(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer()
    write_shard("web", TEXTS[:6], first_id=11, dropped=[12], repeated={13: 4, 16: 2})
    store = run(monkeypatch)
    assert store.document_ids.tolist() == [11, 13, 14, 15, 16]
    assert store.repeats.tolist() == [1, 4, 1, 1, 2]
    lengths = np.diff(store.offsets)
    assert store.counts["tokens"] == lengths.sum() == len(store.ids)
    assert store.counts["epoch_tokens"] == lengths.sum() + 3 * lengths[1] + lengths[4]


def test_what_is_tokenized_is_the_edited_text(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer()
    texts = ["naïve ☃ jane@kde.org wrote\nthis line\nhere", "unchanged ☃", "this line\nx"]
    mask, cut = {"start": 8, "end": 20, "text": "<EMAIL>"}, {"start": 27, "end": 37, "text": ""}
    first = {"start": 0, "end": 10, "text": ""}
    write_shard("web", texts, dropped=[2], edited={1: [mask, cut], 3: [first]})
    store = run(monkeypatch)
    decoder = Tokenizer.from_file(str(layout.tokenizer("ours").with_name("tokenizer.json")))
    decoded = [
        decoder.decode(store.ids[store.offsets[one] + 1 : store.offsets[one + 1] - 1].tolist())
        for one in range(2)
    ]
    assert decoded == ["naïve ☃ <EMAIL> wrote\nhere", "x"]


def test_a_shard_of_nothing_is_a_shard(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer()
    write_shard("web", ["a"], dropped=[1])
    store = run(monkeypatch)
    assert (len(store.ids), store.offsets.tolist(), len(store.document_ids)) == (0, [0], 0)


def test_a_truncated_file_is_an_error(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer()
    write_shard("web", TEXTS)
    run(monkeypatch)
    ids = layout.tokens("ours", "web", 0).with_name("ids.bin")
    ids.write_bytes(ids.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"ids\.bin is missing or truncated"):
        TokenStore.open(layout.tokens("ours", "web", 0))


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_the_widest_id_fits(vocabulary: int, dtype: str) -> None:
    assert token_store.ids_dtype(vocabulary) == np.dtype(dtype)
