"""How well a model in training predicts held-out text, domain by domain.

A measurement leaves the training as it is: no gradient, no random number, the mode as it was.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from scripts.common import tables
from scripts.common.artifact import Artifact
from scripts.common.heldout import windows
from scripts.train.backends import Backend
from scripts.train.batches import Batch
from scripts.train.loss import IGNORED


class HeldOut:
    """Held-out text in rows of ``context`` tokens, and how often it is measured."""

    def __init__(self, tokens: Artifact, context: int, every: int, *, at_start: bool) -> None:
        """Read a held-out tokens artifact, to be measured each ``every`` tokens of training.

        And before the first step, if ``at_start``.
        """
        self.at_start = at_start
        rows = tables.read(tokens.member("heldout.parquet"), ["domain", "bytes", "tokens"])
        self._every = every
        self._bytes: dict[str, int] = {}
        pieces: dict[str, list[list[int]]] = {}
        for row in rows.to_pylist():
            domain = row["domain"]
            self._bytes[domain] = self._bytes.get(domain, 0) + row["bytes"]
            pieces.setdefault(domain, []).extend(windows(row["tokens"], context - 1))
        self._batches = {domain: packed(cut, context) for domain, cut in sorted(pieces.items())}

    def is_due(self, before: int, after: int) -> bool:
        """Tell whether it is measured behind a step that goes from one count of tokens to another.

        A function of these alone: a resumed run measures where one that was not killed does.
        """
        return before // self._every < after // self._every

    def bits_per_byte(
        self, backend: Backend, split: Callable[[Batch], Iterable[Batch]]
    ) -> dict[str, float | None]:
        """Return the bits per byte of each domain, None where they are not finite.

        ``split`` gives this process its micro-batches of a batch; all processes call this at once.
        """
        backend.model.eval()
        bits = {
            domain: _nats(backend, split(batch)) / math.log(2) / self._bytes[domain]
            for domain, batch in self._batches.items()
        }
        backend.model.train()
        return {domain: value if math.isfinite(value) else None for domain, value in bits.items()}


@torch.no_grad()
def _nats(backend: Backend, micro_batches: Iterable[Batch]) -> float:
    total = torch.zeros((), device=backend.model.device, dtype=torch.float64)
    for micro in micro_batches:
        _, entropy = backend.losses(micro, 0.0)
        total += entropy
    return float(backend.ranks.sum(total))


def packed(pieces: Sequence[Sequence[int]], length: int) -> Batch:
    """Pack token sequences, none longer than ``length``, into rows, each apart from the others.

    The longest go first, each into the first row with room for it. What is left of a row is filled
    with tokens that are not predicted.
    """
    rows: list[list[Sequence[int]]] = []
    room: list[int] = []
    for piece in sorted(pieces, key=len, reverse=True):
        row = next((row for row, left in enumerate(room) if left >= len(piece)), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(length)
        rows[row].append(piece)
        room[row] -= len(piece)
    ids_BT = np.zeros((len(rows), length), np.int64)
    labels_BT = np.full_like(ids_BT, IGNORED)
    positions_BT = np.zeros_like(ids_BT)
    for row, chosen in enumerate(rows):
        lengths = [*map(len, chosen), room[row]]
        filled = length - room[row]
        ids_BT[row, :filled] = np.concatenate(chosen)
        positions_BT[row] = np.concatenate([np.arange(one) for one in lengths])
        labels_BT[row, :filled] = ids_BT[row, :filled]
    labels_BT[positions_BT == 0] = IGNORED
    return Batch(*map(torch.from_numpy, (ids_BT, labels_BT, positions_BT)))
