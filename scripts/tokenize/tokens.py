"""Tokenize a shard's selected documents into one flat file of ids, to be memory-mapped.

A document is [bos, if the tokenizer has one] + ids + [eos]. Text that spells a special token is
encoded as the plain text it is: a document cannot end itself or start another.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scripts.common import layout, token_store
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.tokenize.selected import read_kept

log = logging.getLogger(__name__)

_BATCH_ROWS = 128  # encodings take some hundred bytes a token while a batch is in memory


class Settings(Model):
    tokenizer: Name


def load(folder: Path) -> Tokenizer:
    """Load an artifact's ``tokenizer.json`` to encode whole texts as plain text."""
    tokenizer = Tokenizer.from_file((folder / "tokenizer.json").as_posix())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def build(
    draft: Draft, documents: Artifact, selection: Artifact, tokenizer: Artifact, name: str
) -> None:
    """Write ids.bin, offsets.npy and documents.npy; ``name`` is the shard's, for the log."""
    tokenizer.member("tokenizer.json")
    encoder = load(tokenizer.folder)
    bos, eos = tokenizer.counts["bos"], tokenizer.counts["eos"]
    dtype = token_store.ids_dtype(tokenizer.counts["vocabulary"])
    lengths, ids = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    with draft.path(token_store.IDS).open("wb") as stream:
        for batch in _selected(documents, selection):
            texts = batch["text"].to_pylist()
            lengths.append(_write(stream, encoder, texts, bos, eos, dtype))
            ids.append(batch["id"].to_numpy())
    offsets = np.cumsum(np.concatenate(lengths))
    np.save(draft.path(token_store.OFFSETS), offsets)
    np.save(draft.path(token_store.DOCUMENTS), np.concatenate(ids))
    draft.counts.update(
        tokenizer.counts,
        documents=len(offsets) - 1,
        dtype=dtype.name,
        tokens=int(offsets[-1]),
    )
    log.info("%s: %s documents, %s tokens", name, f"{len(offsets) - 1:,}", f"{offsets[-1]:,}")


def _selected(documents: Artifact, selection: Artifact) -> Iterator[pa.RecordBatch]:
    """Yield id and text of the selected documents in row order, in small batches."""
    kept = read_kept(documents, selection)
    first = 0
    with pq.ParquetFile(documents.member("documents.parquet")) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=["id", "text"]):
            yield batch.filter(pa.array(kept[first : first + len(batch)]))
            first += len(batch)


def _write(
    stream: BinaryIO,
    encoder: Tokenizer,
    texts: list[str],
    bos: int | None,
    eos: int,
    dtype: np.dtype[Any],
) -> NDArray[np.int64]:
    """Append the texts' ids to ``stream``; return each document's length: (texts,)."""
    before = [] if bos is None else [bos]
    encoded = encoder.encode_batch_fast(texts, add_special_tokens=False)
    rows = [np.array([*before, *encoding.ids, eos], dtype) for encoding in encoded]
    for row in rows:
        stream.write(row.tobytes())
    return np.array([len(row) for row in rows], np.int64)


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
