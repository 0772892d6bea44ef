"""Encoding text that the tokenizer was not trained on, beside tiktoken and tokenizers."""

import json
import tempfile
from pathlib import Path

import gigatoken
import numpy as np
import tiktoken

from scripts.tokenize.encoder import Checked, ReferenceEncoder, fast_encoder
from scripts.tokenize.tokenizer import train
from tests.benchmarks.corpus import prose_and_code, size
from tests.benchmarks.timing import Row, seconds, table

_VOCABULARY = 32_000
_TRAINING_SHARE = 0.1
_REFERENCE_SHARE = 0.05  # tokenizers is so slow that a share tells enough
_BATCH = 1000


def rows(texts: list[str]) -> list[Row]:
    """Measure on what is left of ``texts`` once the tokenizer is trained on the first of them."""
    count = int(len(texts) * _TRAINING_SHARE)
    unseen = texts[count:]
    with tempfile.TemporaryDirectory() as folder:
        train(texts[:count], _VOCABULARY).save_pretrained(folder)
        file = Path(folder, "tokenizer.json")
        fast, reference = fast_encoder(file), ReferenceEncoder(file)
        peer = _tiktoken(file)
    assert fast is not None

    def ours() -> None:
        checked = Checked(fast, reference)
        for first in range(0, len(unseen), _BATCH):
            batch = unseen[first : first + _BATCH]
            checked.encode(batch, np.arange(first, first + len(batch)))

    _check_equal(fast, reference, unseen)
    few = unseen[:: int(1 / _REFERENCE_SHARE)]
    speed = size(unseen) / 1e6 / seconds(ours)
    theirs = size(unseen) / 1e6 / seconds(lambda: peer.encode_ordinary_batch(unseen, num_threads=1))
    slow = size(few) / 1e6 / seconds(lambda: reference.encode(few), runs=1)
    return [
        Row("tokenize unseen text, checked", "tiktoken", "MB", speed, theirs, 5),
        Row("tokenize unseen text, checked", "tokenizers", "MB", speed, slow, 25),
    ]


def _check_equal(fast, reference: ReferenceEncoder, texts: list[str]) -> None:
    for first in range(0, len(texts), _BATCH):
        batch = texts[first : first + _BATCH]
        assert fast.encode(batch) == reference.encode(batch)
    print(f"ids equal those of tokenizers on all of {len(texts):,} documents")


def _tiktoken(file: Path) -> tiktoken.Encoding:
    """Return the same tokenizer as tiktoken has it."""
    values = json.loads(file.read_text())
    special = {token["content"]: token["id"] for token in values["added_tokens"]}
    vocabulary = gigatoken.Tokenizer.from_json(json.dumps(values)).vocab
    return tiktoken.Encoding(
        "ours",
        pat_str=values["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"],
        mergeable_ranks={
            spelling: token
            for token, spelling in vocabulary.items()
            if token not in special.values()
        },
        special_tokens=special,
    )


if __name__ == "__main__":
    print(table(rows(prose_and_code(110))))
