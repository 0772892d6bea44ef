"""The table that every evaluation writes: one row per item and metric.

A metric's value over a group is the mean of its rows by weight. So bits per byte, weighted by
bytes, is the ratio of all bits to all bytes, and accuracy, of weight 1, the plain mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scripts.common import tables
from scripts.common.artifact import Draft

MEMBER = "items.parquet"
SCHEMA = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("document", pa.int64(), nullable=False),  # whence the item: the unit of chance
        pa.field("group", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)
BITS_PER_BYTE = "bits_per_byte"


class Score(NamedTuple):
    """The value of one metric on one item; the fields are the columns of ``SCHEMA``."""

    item: str
    document: int
    group: str
    metric: str
    value: float
    weight: float = 1.0


def higher_is_better(metric: str) -> bool:
    """Return whether more is better: it is, but for losses and what is derived from them."""
    return not (metric == BITS_PER_BYTE or metric.startswith("loss_"))


def write(scores: Sequence[Score], draft: Draft) -> None:
    """Write the scores as the artifact's member, and their means and numbers as its counts."""
    ordered = sorted(scores, key=lambda score: (score.group, score.metric, score.item))
    rows = [score._asdict() for score in ordered]
    tables.write(pa.Table.from_pylist(rows, schema=SCHEMA), draft.path(MEMBER))
    draft.counts = _counts(ordered)


def summary(counts: Mapping[str, Any]) -> str:
    """Return the counts of an evaluation as one line for the log."""
    return ", ".join(
        f"{group} {metric} {cell['mean']:.4f} (n={cell['n']})"
        for group, metrics in counts.items()
        for metric, cell in metrics.items()
    )


def _counts(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, float]]]:
    cells: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        cells.setdefault((score.group, score.metric), []).append(score)
    counts: dict[str, dict[str, dict[str, float]]] = {}
    for (group, metric), members in cells.items():
        values = [score.value for score in members]
        mean = float(np.average(values, weights=[score.weight for score in members]))
        counts.setdefault(group, {})[metric] = {"mean": mean, "n": len(members)}
    return counts
