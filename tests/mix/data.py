"""Tokens artifacts made for tests: documents of given lengths, spread over shards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.common import layout
from scripts.common.artifact import make
from scripts.common.token_store import TokenStore
from scripts.mix.stream import Documents


def documents(
    source: str,
    lengths: Mapping[int, int] | Sequence[int],
    shards: int = 1,
    repeats: Mapping[int, int] | None = None,
) -> Documents:
    """Documents of ``lengths`` (by id, or ids from 1), dealt to shards one by one.

    They are repeated as often as ``repeats`` says by id, once where it does not.
    """
    by_id = lengths if isinstance(lengths, Mapping) else dict(enumerate(lengths, start=1))
    dealt: list[list[int]] = [list(by_id)[shard::shards] for shard in range(shards)]
    stores = [
        TokenStore(
            ids=np.empty(0, "<u2"),
            offsets=np.cumsum([0, *(by_id[one] for one in ids)]).astype(np.int64),
            document_ids=np.array(ids, np.int64),
            repeats=np.array([(repeats or {}).get(one, 1) for one in ids], np.int32),
            counts={},
        )
        for ids in dealt
    ]
    return Documents.of(source, stores)


def write_tokens(
    source: str,
    lengths: Sequence[int],
    shard: int = 0,
    first_id: int = 1,
    repeats: Sequence[int] | None = None,
) -> Path:
    """Make a tokens artifact of tokenizer ``small``, its ids counting up from 0."""
    output = layout.tokens("small", source, shard)

    def build(draft):
        offsets = np.cumsum([0, *lengths]).astype(np.int64)
        np.arange(offsets[-1]).astype("<u2").tofile(draft.path("ids.bin"))
        np.save(draft.path("offsets.npy"), offsets)
        np.save(draft.path("documents.npy"), np.arange(first_id, first_id + len(lengths)))
        np.save(draft.path("repeats.npy"), np.array(repeats or [1] * len(lengths), np.int32))
        draft.counts.update(dtype="uint16", documents=len(lengths), tokens=int(offsets[-1]))

    made_of = [list(lengths), list(repeats or [])]
    make(build, output=output, module="scripts.tokenize.tokens", settings=made_of, inputs=[])
    return output
