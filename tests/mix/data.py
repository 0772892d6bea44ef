"""Tokens artifacts made for tests: documents of given lengths, spread over shards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.common import layout
from scripts.common.artifact import make
from scripts.mix.stream import Documents


def documents(
    source: str, lengths: Mapping[int, int] | Sequence[int], shards: int = 1
) -> Documents:
    """Documents of ``lengths`` (by id, or ids from 1), dealt to shards one by one."""
    by_id = lengths if isinstance(lengths, Mapping) else dict(enumerate(lengths, start=1))
    dealt: list[list[int]] = [list(by_id)[shard::shards] for shard in range(shards)]
    starts = [np.cumsum([0, *(by_id[one] for one in ids)])[:-1] for ids in dealt]
    return Documents(
        source,
        ids=np.array([one for ids in dealt for one in ids], np.int64),
        shard=np.repeat(np.arange(shards, dtype=np.int32), [len(ids) for ids in dealt]),
        start=np.concatenate(starts).astype(np.int64),
        length=np.array([by_id[one] for ids in dealt for one in ids], np.int64),
    )


def write_tokens(source: str, lengths: Sequence[int], shard: int = 0, first_id: int = 1) -> Path:
    """Make a tokens artifact of tokenizer ``small``, its ids counting up from 0."""
    output = layout.tokens("small", source, shard)

    def build(draft):
        offsets = np.cumsum([0, *lengths]).astype(np.int64)
        np.arange(offsets[-1]).astype("<u2").tofile(draft.path("ids.bin"))
        np.save(draft.path("offsets.npy"), offsets)
        np.save(draft.path("documents.npy"), np.arange(first_id, first_id + len(lengths)))
        draft.counts.update(dtype="uint16", documents=len(lengths), tokens=int(offsets[-1]))

    make(build, output=output, module="scripts.tokenize.tokens", settings=list(lengths), inputs=[])
    return output
