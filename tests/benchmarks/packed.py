"""A phase's inputs to measure training on: real tokens, as documents of log-normal lengths.

The artifacts are those that ``scripts.train`` reads: a token store, and orders by ``scripts.mix``.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.common import layout, token_store
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.config.train import Batching
from scripts.common.token_store import TokenStore
from scripts.mix import order
from scripts.mix.stream import Documents
from scripts.tokenize.encoder import ReferenceEncoder
from scripts.tokenize.tokenizer import train
from scripts.train.batches import Batches, Order
from tests.benchmarks.corpus import prose_and_code

_MEGABYTES = 12.0  # to train the tokenizer on; the first of them become the tokens
_TOKENS = 400_000
_MEDIAN, _SIGMA = 400, 1.0  # of a document's length in tokens, as web pages have it
_MAKER = "tests.benchmarks.packed"


def write_tokens(vocabulary: int) -> Artifact:
    """Write a token store below the working directory."""
    ids = _real_ids(vocabulary)

    def build(draft: Draft) -> None:
        offsets = _offsets(len(ids))
        draft.path(token_store.IDS).write_bytes(ids.tobytes())
        np.save(draft.path(token_store.OFFSETS), offsets)
        np.save(draft.path(token_store.DOCUMENTS), np.arange(len(offsets) - 1))
        np.save(draft.path(token_store.REPEATS), np.ones(len(offsets) - 1, np.int32))
        draft.counts = {"dtype": "uint16", "bos": 0, "eos": 1, "vocabulary": vocabulary}

    output = layout.tokens("bpe", "text", 0)
    return make(build, output=output, module=_MAKER, settings={}, inputs=[])


def batches(tokens: Artifact, name: str, phase: Batching) -> Batches:
    """Write the order of a phase; return its batches."""
    settings = order.Settings(
        **{key: getattr(phase, key) for key in Batching.model_fields},
        tokenizer="bpe", mixture={"text": 1.0}, max_epochs=1, seed=0, follows=[],
        sources={"text": order.MixedSource(domain="text", shards=1)},
    )  # fmt: skip
    documents = {"text": Documents.of("text", [TokenStore.open(tokens.path)])}
    made = make(
        lambda draft: order.build(draft, name, documents, [], settings),
        output=layout.order(name), module=_MAKER, settings={}, inputs=[tokens.path],
    )  # fmt: skip
    return Batches(Order(made, phase.plan(0)), {("text", 0): tokens.path})


def _real_ids(vocabulary: int) -> NDArray[np.uint16]:
    texts = prose_and_code(_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        train(texts, vocabulary).save_pretrained(folder)
        encoder = ReferenceEncoder(Path(folder, "tokenizer.json"))
    return encoder.encode(texts[: len(texts) // 4]).ids[:_TOKENS].astype(np.uint16)


def _offsets(tokens: int) -> NDArray[np.int64]:
    """Return where documents begin: their lengths are log-normal, and add up to ``tokens``."""
    random = np.random.default_rng(0)
    lengths = random.lognormal(np.log(_MEDIAN), _SIGMA, tokens // _MEDIAN).astype(np.int64)
    ends = np.cumsum(np.maximum(lengths, 16))
    return np.concatenate([[0], ends[ends < tokens], [tokens]])
