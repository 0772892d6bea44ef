"""Documents and selection artifacts made for tests."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make


def write_shard(
    source: str,
    texts: Sequence[str],
    shard: int = 0,
    first_id: int = 1,
    dropped: Sequence[int] = (),
    repeated: Mapping[int, int] | None = None,
    edited: Mapping[int, list[dict[str, Any]]] | None = None,
) -> tuple[Artifact, Artifact]:
    """Make a shard's documents, with ids from ``first_id``, and a selection without ``dropped``.

    ``repeated`` says which documents are read more than once, and how often; ``edited``
    has the edits of some.
    """
    ids = list(range(first_id, first_id + len(texts)))
    kept = [one not in dropped for one in ids]
    documents = {
        "id": ids, "text": list(texts), "source": [source] * len(ids), "url": [""] * len(ids),
        "metadata": ["{}"] * len(ids), "license": None, "created": None, "language": None,
    }  # fmt: skip
    documents = {key: values or [None] * len(ids) for key, values in documents.items()}
    repeats = [(repeated or {}).get(one, 1) * (one not in dropped) for one in ids]
    reasons = [None if one else "sample" for one in kept]
    selection = {
        "id": ids, "kept": kept, "reason": reasons, "repeats": repeats,
        "edits": [(edited or {}).get(one, []) for one in ids],
    }  # fmt: skip
    size = sum(len(text.encode()) for text in texts)

    def write(name: str, values: dict, schema: pa.Schema, **counts: int) -> Callable[[Draft], None]:
        def build(draft: Draft) -> None:
            tables.write(pa.table(values, schema=schema), draft.path(name))
            draft.counts.update(counts)

        return build

    def made(output: Path, build: Callable[[Draft], None]) -> Artifact:
        what = {"texts": list(texts), "dropped": list(dropped), "repeats": repeats, "edits": edited}
        module = "scripts.tokenize.selected"
        return make(build, output=output, module=module, settings=what, inputs=[])

    count = {"documents": len(ids), "bytes": size}
    return (
        made(
            layout.documents(source, shard),
            write("documents.parquet", documents, tables.DOCUMENTS, **count),
        ),
        made(
            layout.selection(source, shard),
            write("selection.parquet", selection, tables.SELECTION, kept=sum(kept)),
        ),
    )
