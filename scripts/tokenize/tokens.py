"""Tokenize a shard's selected documents into one flat file of ids, to be memory-mapped.

A document is [bos, if the tokenizer has one] + ids + [eos]. Text that spells a special token is
encoded as the plain text it is: a document cannot end itself or start another.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import edits, layout, tables, token_store
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.tokenize.encoder import (
    Checked,
    Encoded,
    Encoder,
    ReferenceEncoder,
    UnlikeReferenceError,
    fast_encoder,
)
from scripts.tokenize.selected import read_edits, read_repeats

log = logging.getLogger(__name__)


class Settings(Model):
    tokenizer: Name


def build(
    draft: Draft, documents: Artifact, selection: Artifact, tokenizer: Artifact, name: str
) -> None:
    """Write ids.bin, offsets.npy, documents.npy and repeats.npy; ``name`` is the shard's.

    A document that an epoch reads several times is there once.
    """
    file = tokenizer.member("tokenizer.json")
    reference = ReferenceEncoder(file)
    encoder: Encoder = fast_encoder(file) or reference
    try:
        _encode(draft, documents, selection, tokenizer.counts, Checked(encoder, reference))
    except UnlikeReferenceError as error:
        log.warning("%s: encoded anew by `tokenizers`: %s: %s", name, encoder.name, error)
        _encode(draft, documents, selection, tokenizer.counts, Checked(reference, reference))
    counts = draft.counts
    log.info(
        "%s: %s documents, %s tokens", name, f"{counts['documents']:,}", f"{counts['tokens']:,}"
    )


def _encode(
    draft: Draft,
    documents: Artifact,
    selection: Artifact,
    vocabulary: Mapping[str, Any],
    encoder: Checked,
) -> None:
    dtype = token_store.ids_dtype(vocabulary["vocabulary"])
    repeats = read_repeats(documents, selection)
    lengths, ids = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    with draft.path(token_store.IDS).open("wb") as stream:
        for batch_ids, texts in _selected(documents, selection, repeats > 0):
            ids.append(batch_ids)
            encoded = encoder.encode(texts, batch_ids)
            whole = _bounded(encoded, vocabulary["bos"], vocabulary["eos"])
            stream.write(whole.ids.astype(dtype).tobytes())
            lengths.append(whole.lengths)
    offsets = np.cumsum(np.concatenate(lengths))
    selected = repeats[repeats > 0]
    np.save(draft.path(token_store.OFFSETS), offsets)
    np.save(draft.path(token_store.DOCUMENTS), np.concatenate(ids))
    np.save(draft.path(token_store.REPEATS), selected)
    draft.counts = {
        **vocabulary,
        "documents": len(offsets) - 1,
        "dtype": dtype.name,
        "encoder": encoder.name,
        "encoded_by_both": encoder.compared,
        "epoch_tokens": int(np.diff(offsets) @ selected),
        "tokens": int(offsets[-1]),
    }


def _bounded(encoded: Encoded, bos: int | None, eos: int) -> Encoded:
    """Put ``bos``, unless it is None, before the ids of each text and ``eos`` behind them."""
    ends = np.cumsum(encoded.lengths)
    ids = np.insert(encoded.ids, ends, np.uint32(eos))
    if bos is None:
        return Encoded(ids, encoded.lengths + 1)
    starts = ends - encoded.lengths + np.arange(len(ends))  # each eos moves what is behind it
    return Encoded(np.insert(ids, starts, np.uint32(bos)), encoded.lengths + 2)


def _selected(
    documents: Artifact, selection: Artifact, kept: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """Yield ids and edited texts of the selected documents in row order, in small batches."""
    column = read_edits(selection)
    first = 0
    path = documents.member("documents.parquet")
    for batch in tables.batches(path, ["id", "text"]):
        chosen = pa.array(kept[first : first + len(batch)])
        here = batch.filter(chosen)
        texts = edits.apply_all(here["text"], column.slice(first, len(batch)).filter(chosen))
        yield here["id"].to_numpy(), texts
        first += len(batch)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--source", required=True)
    command.add_argument("--shard", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    shard = (arguments.source, arguments.shard)
    documents, selection = layout.documents(*shard), layout.selection(*shard)
    tokenizer = layout.tokenizer(settings.tokenizer)
    make(
        lambda draft: build(
            draft,
            Artifact.load(documents),
            Artifact.load(selection),
            Artifact.load(tokenizer),
            "/".join(shard),
        ),
        output=layout.tokens(settings.tokenizer, *shard),
        module="scripts.tokenize.tokens",
        settings=settings.model_dump(mode="json"),
        inputs=[documents, selection, tokenizer],
    )


if __name__ == "__main__":
    run(main)
