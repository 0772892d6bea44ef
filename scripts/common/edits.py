"""Edits of texts: what is cut out of a document, or masked, on its way to tokens.

Documents never change. `select` decides on edits, from spans that others found, and keeps them with
the selection; whoever reads selected text applies them. Places are in characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common.errors import UserError
from scripts.common.tables import EDITS

# By what a span is; spans of other kinds are removed.
MASKS: Mapping[str, str] = {
    "mail": "<EMAIL>",
    "ip": "<IP>",
    "phone": "<PHONE>",
    "key": "<KEY>",
    "card": "<CARD>",
    "iban": "<IBAN>",
}


@dataclass(frozen=True)
class Spans:
    """Stretches of texts: those of row ``rows[i]`` from ``starts[i]`` to ``ends[i]``.

    rows, starts, ends: int64 [spans], kinds: object [spans].
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Spans":
        return Spans(self.rows[chosen], self.starts[chosen], self.ends[chosen], self.kinds[chosen])

    @classmethod
    def of_column(cls, column: pa.ListArray) -> "Spans":
        """Read a column of tables.SPANS."""
        spans = column.flatten()
        counts = np.diff(column.offsets.to_numpy())
        return cls(
            np.repeat(np.arange(len(column)), counts),
            spans.field("start").to_numpy().astype(np.int64),
            spans.field("end").to_numpy().astype(np.int64),
            np.array(spans.field("kind").to_pylist(), dtype=object),
        )

    @property
    def removals(self) -> NDArray[np.bool_]:
        return np.array([kind not in MASKS for kind in self.kinds], np.bool_)

    def column(self, rows: int) -> pa.ListArray:
        """Return a column of tables.EDITS, of spans that are in order and apart."""
        texts = [MASKS.get(kind, "") for kind in self.kinds]
        structs = pa.StructArray.from_arrays(
            [
                pa.array(self.starts, pa.int32()),
                pa.array(self.ends, pa.int32()),
                pa.array(texts, pa.string()),
            ],
            fields=list(EDITS.value_type),
        )
        offsets = np.searchsorted(self.rows, np.arange(rows + 1))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=EDITS)


def merge(*origins: Spans) -> Spans:
    """Unite spans of several origins: in order of place, and apart from each other.

    Spans that overlap become one. Of these it removes all if any does, for a mask may not outlive
    the line around it; else it is of the kind of the first, the longest of those. Spans that touch
    stay two. The order of origins does not matter.
    """
    spans = Spans(
        *(
            np.concatenate([getattr(one, name) for one in (_NONE, *origins)])
            for name in ("rows", "starts", "ends", "kinds")
        )
    )
    if not len(spans):
        return spans
    _, codes = np.unique(spans.kinds.astype(str), return_inverse=True)
    spans = spans[np.lexsort((codes, -spans.ends, spans.starts, spans.rows))]
    width = spans.ends.max() + 1
    reach = np.maximum.accumulate(spans.rows * width + spans.ends)
    first = np.flatnonzero(np.append(True, spans.rows[1:] * width + spans.starts[1:] >= reach[:-1]))
    places = np.arange(len(spans))
    removal = np.minimum.reduceat(np.where(spans.removals, places, len(spans)), first)
    return Spans(
        spans.rows[first],
        spans.starts[first],
        np.maximum.reduceat(spans.ends, first),
        spans.kinds[np.where(removal < len(spans), removal, first)],
    )


def apply(text: str, edits: Sequence[dict[str, int | str]] | None) -> str:
    """Return an edited text, given one row of a column of tables.EDITS.

    Raises UserError for edits that are not of this text.
    """
    if not edits:
        return text
    pieces, at = [], 0
    for edit in edits:
        start, end = int(edit["start"]), int(edit["end"])
        if not at <= start < end <= len(text):
            raise UserError(
                f"an edit from {start} to {end} does not fit a text of {len(text)} characters that "
                f"is edited up to {at}: the selection is of other documents, so make it again"
            )
        pieces += [text[at:start], str(edit["text"])]
        at = end
    return "".join([*pieces, text[at:]])


def apply_all(texts: pa.Array, edits: pa.Array) -> list[str]:
    """Return edited texts, row by row."""
    result: list[str] = texts.to_pylist()
    counts = np.diff(edits.offsets.to_numpy())
    for row in np.flatnonzero(counts).tolist():
        result[row] = apply(result[row], edits[row].as_py())
    return result


_EMPTY = np.empty(0, np.int64)
_NONE = Spans(_EMPTY, _EMPTY, _EMPTY, np.empty(0, dtype=object))
