"""How a phase fits into a GPU's memory: its largest micro-batch, and what else to change."""

from collections.abc import Iterator
from typing import Any

from scripts.train.plan.estimate import Estimate

_KINDS = ("nothing", "cheap", "blocks")  # of recomputation


def largest_micro_batch(estimate: Estimate) -> int | None:
    """Return the most ``micro_batch_tokens`` that fit and have an effect; none if no row fits."""
    for rows in range(estimate.rows, 0, -1):
        tokens = rows * estimate.row_tokens
        if estimate.fits_with(micro_batch_tokens=tokens):
            return tokens
    return None


def remedies(estimate: Estimate) -> list[dict[str, Any]]:
    """Return changes to ``engine``, each of which makes the phase fit.

    If none does so alone, all together are the only one; if they do not, there is none.
    """
    single = [change for change in _changes(estimate) if estimate.fits_with(**change)]
    together = {
        "micro_batch_tokens": estimate.row_tokens,
        "recompute": "blocks",
        "zero": 3 if estimate.gpus > 1 else 2,
        "offload": True,
    }
    return single or ([together] if estimate.fits_with(**together) else [])


def _changes(estimate: Estimate) -> Iterator[dict[str, Any]]:
    engine = estimate.engine
    largest = largest_micro_batch(estimate)
    if largest is not None:
        yield {"micro_batch_tokens": largest}
    for kind in _KINDS[_KINDS.index(engine.recompute) + 1 :]:
        yield {"recompute": kind}
    if estimate.gpus > 1:
        yield from ({"zero": stage} for stage in range(engine.stage + 1, 4))
    if not engine.offload:
        yield {"zero": max(2, engine.stage), "offload": True}
