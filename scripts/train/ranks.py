"""The processes of a training run: which one this is, and what it says to the others.

A launcher sets RANK, WORLD_SIZE and LOCAL_RANK: torchrun, or srun by way of scripts/slurm/job.py.
Without them there is one process, and nothing is said to anybody.
"""

import os
from dataclasses import dataclass, replace

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """``rank`` of ``world`` processes. ``sequence`` consecutive ones share each row of a batch."""

    rank: int = 0
    world: int = 1
    local: int = 0
    sequence: int = 1
    sequence_group: distributed.ProcessGroup | None = None  # those that share rows with this one

    @classmethod
    def of_launcher(cls) -> "Ranks":
        rank, world, local = (
            int(os.environ.get(name, default))
            for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        )
        return cls(rank, world, local)

    def sharing_rows(self, sequence: int) -> "Ranks":
        """Return the same with rows shared by ``sequence`` processes: all at once must call it."""
        if sequence == 1:
            return self
        group, _ = distributed.new_subgroups(sequence)
        return replace(self, sequence=sequence, sequence_group=group)

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def group(self) -> int:
        """Which of the groups that share rows this process is in."""
        return self.rank // self.sequence

    @property
    def groups(self) -> int:
        return self.world // self.sequence

    def columns(self, length: int) -> slice:
        """Return which columns of a row of ``length`` tokens are this process's."""
        each = length // self.sequence
        first = self.rank % self.sequence * each
        return slice(first, first + each)

    @property
    def device(self) -> torch.device:
        if torch.cuda.is_available():
            return torch.device("cuda", self.local)
        return torch.device("cpu")

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of all processes' ``values``."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def agree(self, value: bool) -> bool:
        """Return whether any process says so: the same answer in all of them."""
        if self.world == 1:
            return value
        said = torch.tensor(int(value), device=self.device)
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def wait(self) -> None:
        """Return once every process is here."""
        if self.world > 1:
            distributed.barrier()


ALONE = Ranks()
