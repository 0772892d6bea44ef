"""The fast encoder says what the tokenizer itself says, or is found out."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from scripts.tokenize.encoder import (
    Checked,
    Encoded,
    ReferenceEncoder,
    Spelling,
    UnlikeReferenceError,
    fast_encoder,
)
from scripts.tokenize.tokenizer import EOS, train

TEXTS = [f"def naïve(x={number}):\n\treturn 'it''s {number}'  # 数学 ☃\n" for number in range(200)]
IDS = np.arange(len(TEXTS))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train(TEXTS, 320).save_pretrained(folder)
    return folder / "tokenizer.json"


@pytest.fixture(scope="module")
def encoders(file: Path):
    fast = fast_encoder(file)
    assert fast is not None
    return fast, ReferenceEncoder(file)


@given(texts=st.lists(st.text() | st.text("ab '\n\t1sS") | st.just(EOS), max_size=5))
def test_ids_are_the_tokenizers(encoders, texts: list[str]) -> None:
    fast, reference = encoders
    assert fast.encode(texts) == reference.encode(texts)


def test_a_tokenizer_that_the_fast_encoder_does_not_know_is_left_to_the_reference(
    tmp_path: Path,
) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert fast_encoder(tmp_path / "tokenizer.json") is None


class Wrong:
    """An encoder that errs on one document in a hundred."""

    name = "wrong"

    def __init__(self, reference: ReferenceEncoder) -> None:
        self._reference = reference

    def encode(self, texts: list[str]) -> Encoded:
        encoded = self._reference.encode(texts)
        return Encoded(np.where(np.arange(len(encoded.ids)) == 7, 0, encoded.ids), encoded.lengths)


def test_a_difference_is_found_in_the_compared_documents(encoders) -> None:
    _, reference = encoders
    many = np.arange(100 * len(TEXTS))
    checked = Checked(Wrong(reference), reference)
    with pytest.raises(UnlikeReferenceError, match="document"):
        for first in range(0, len(many), 10):
            checked.encode(TEXTS[:10], many[first : first + 10])


def test_a_share_of_the_documents_is_compared(encoders) -> None:
    fast, reference = encoders
    checked = Checked(fast, reference)
    for first in range(0, 20_000, 200):
        checked.encode(TEXTS, np.arange(first, first + 200))
    assert 40 < checked.compared < 130  # 78 expected


@given(texts=st.lists(st.text(), min_size=1, max_size=4), data=st.data())
def test_ids_that_do_not_spell_their_text_are_noticed(texts: list[str], data) -> None:
    spelling = Spelling({byte: bytes([byte]) for byte in range(256)} | {256: b"ab"})
    ids = np.frombuffer("".join(texts).encode(), np.uint8).astype(np.uint32)
    lengths = np.array([len(text.encode()) for text in texts])
    assert spelling.holds(texts, ids, lengths)
    if len(ids):
        place = data.draw(st.integers(0, len(ids) - 1))
        changed = ids.copy()
        changed[place] = (changed[place] + 1) % 256
        assert not spelling.holds(texts, changed, lengths)
        last = np.flatnonzero(lengths)[-1]
        assert not spelling.holds(texts, ids[:-1], lengths - (np.arange(len(texts)) == last))
