import threading

import pytest
import torch

from scripts.common.errors import UserError
from scripts.train.batches import Batch
from scripts.train.prefetch import Prefetched


class Numbered:
    """Batches that tell their step, and remember which were read, by whom."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.read: list[int] = []
        self.readers: set[str] = set()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        if step == 7:
            raise UserError("row 7 is damaged")
        self.read.append(step)
        self.readers.add(threading.current_thread().name)
        return Batch(*(torch.full((1, 2), step),) * 3)


def test_batches_are_those_of_their_steps_each_read_once_by_a_thread() -> None:
    batches = Numbered(5)
    ahead = Prefetched(batches, pinned=False)  # type: ignore[arg-type]
    assert [int(ahead[step].input_ids_BT[0, 0]) for step in range(5)] == [0, 1, 2, 3, 4]
    assert batches.read == [0, 1, 2, 3, 4]
    assert threading.current_thread().name not in batches.readers


def test_a_resumed_run_begins_anywhere() -> None:
    ahead = Prefetched(Numbered(9), pinned=False)  # type: ignore[arg-type]
    assert [int(ahead[step].input_ids_BT[0, 0]) for step in (3, 4, 2, 3)] == [3, 4, 2, 3]


def test_a_fault_shows_at_its_own_step() -> None:
    ahead = Prefetched(Numbered(9), pinned=False)  # type: ignore[arg-type]
    ahead[6]
    with pytest.raises(UserError, match="row 7 is damaged"):
        ahead[7]
