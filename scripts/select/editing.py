"""What is edited in a shard's documents: repeated lines are cut, personal data masked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import edits, layout, tables
from scripts.common.artifact import Artifact
from scripts.common.attributes import PII_SPANS
from scripts.common.edits import Spans
from scripts.select.inputs import Inputs


def find(
    inputs: Inputs, ids: NDArray[np.int64], attributes: Mapping[str, pa.ChunkedArray]
) -> Spans:
    """Return what the settings have edited in each document, in order and apart."""
    origins = []
    if inputs.settings.mask:
        personal = Spans.of_column(attributes[PII_SPANS].combine_chunks())
        origins.append(personal[np.isin(personal.kinds.astype(str), inputs.settings.mask)])
    if inputs.cut_lines:
        lines = inputs.of_shard(layout.duplicate_lines(), ["spans"], ids)["spans"]
        origins.append(Spans.of_column(lines.combine_chunks()))
    return edits.merge(*origins)


def emptied(inputs: Inputs, found: Spans, documents: int) -> NDArray[np.bool_]:
    """Return which documents are nothing but white space once edited.

    Only the texts of those are read of which something is removed and nothing masked.
    """
    suspects = np.zeros(documents, np.bool_)
    suspects[found.rows[found.removals]] = True
    suspects[found.rows[~found.removals]] = False
    empty = np.zeros(documents, np.bool_)
    if not suspects.any():
        return empty
    path = Artifact.load(inputs.documents).member("documents.parquet")
    column = found.column(documents)
    first = 0
    for batch in tables.batches(path, ["text"]):
        here = suspects[first : first + len(batch)]
        chosen = pa.array(here)
        texts = batch.column("text").filter(chosen)
        edited = edits.apply_all(texts, column.slice(first, len(batch)).filter(chosen))
        empty[first + np.flatnonzero(here)] = [not text.strip() for text in edited]
        first += len(batch)
    return empty


def counts(found: Spans) -> dict[str, Any]:
    """Return the edits by kind, and the characters removed and masked."""
    kinds, numbers = np.unique(found.kinds.astype(str), return_counts=True)
    lengths, removals = found.ends - found.starts, found.removals
    return {
        "by_kind": dict(zip(kinds.tolist(), numbers.tolist(), strict=True)),
        "characters_removed": int(lengths[removals].sum()),
        "characters_masked": int(lengths[~removals].sum()),
    }
