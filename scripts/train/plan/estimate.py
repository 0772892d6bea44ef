"""What a phase will take: memory on each GPU, and whether that is there; GPU-hours; days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from scripts.common.batch_plan import BatchPlan, Stretch
from scripts.common.config.train import Engine
from scripts.train.batches import MICRO_BATCH_TOKENS
from scripts.train.cost import Shape, mean_length
from scripts.train.gpus import Gpu
from scripts.train.memory import Load, Memory, host_bytes, predicted_bytes

_HOUR = 3600


@dataclass(frozen=True)
class Cluster:
    """``nodes`` of GPUs that reach ``mfu`` of their FLOP/s while they recompute nothing."""

    gpu: Gpu
    nodes: int
    mfu: float


@dataclass(frozen=True)
class Estimate:
    """A phase on a cluster, with the lengths of its documents by the context of their rows."""

    plan: BatchPlan
    shape: Shape
    engine: Engine
    precision: str
    cluster: Cluster
    lengths: Mapping[int, Sequence[float]]

    @property
    def gpus(self) -> int:
        return self.engine.processes * self.cluster.nodes

    @property
    def mean_length(self) -> float:
        """The mean over the phase's tokens of their documents' lengths."""
        return self._mean([mean_length(lengths) for lengths in self._lengths])

    @property
    def flops_per_token(self) -> float:
        """The FLOPs that the model needs for a token, on average over the phase."""
        return self._mean([self.shape.flops_per_token(lengths) for lengths in self._lengths])

    @property
    def tokens_per_gpu_hour(self) -> float:
        computed = self.flops_per_token
        if self.engine.recompute == "blocks":  # takes time that does not count for the MFU
            computed += self._mean(
                [self.shape.recompute_flops_per_token(lengths) for lengths in self._lengths]
            )
        return self.cluster.mfu * self.cluster.gpu.flops * _HOUR / computed

    @property
    def gpu_hours(self) -> float:
        """The hours of all GPUs together, of those that have too few rows to compute as well."""
        groups = self.gpus // self.engine.sequence_ranks
        computed = sum(
            stretch.batches * stretch.context * self._rows(stretch) * groups
            for stretch in self.plan.stretches
        )
        return computed / self.tokens_per_gpu_hour

    @property
    def days(self) -> float:
        return self.gpu_hours / self.gpus / 24

    @property
    def memory(self) -> Memory:
        """What the fullest step needs on each GPU."""
        return self.memory_with(self.engine)

    def memory_with(self, engine: Engine) -> Memory:
        """Return what it would need with another engine."""
        memories = (
            predicted_bytes(self.shape, engine, self.precision, self._load(engine, stretch))
            for stretch in self._largest
        )
        return max(memories, key=lambda memory: memory.total)

    def fits_with(self, **changes: object) -> bool:
        """Tell whether the GPU has that memory if keys of the engine are changed."""
        engine = self.engine.model_copy(update=changes)
        return self.memory_with(engine).total <= self.cluster.gpu.memory

    @property
    def host_bytes(self) -> int:
        """What the processes of a node keep in its own memory."""
        return self.engine.processes * host_bytes(self.shape, self.engine, self.gpus)

    @property
    def micro_batch_tokens(self) -> int:
        """The most tokens that a process computes at a time."""
        return max(self._load(self.engine, stretch).tokens for stretch in self._largest)

    @property
    def row_tokens(self) -> int:
        """A process's tokens of the longest row."""
        return self.plan.longest // self.engine.sequence_ranks

    @property
    def rows(self) -> int:
        """The longest rows of a batch that are one process's to compute, or its group's."""
        longest = max(self._largest, key=lambda stretch: stretch.context)
        return self._rows(longest)

    def _rows(self, stretch: Stretch) -> int:
        return -(-stretch.rows * self.engine.sequence_ranks // self.gpus)

    def _load(self, engine: Engine, stretch: Stretch) -> Load:
        share = self._rows(stretch)
        tokens = engine.micro_batch_tokens or MICRO_BATCH_TOKENS["cuda"]
        rows = min(share, max(1, tokens * engine.sequence_ranks // stretch.context))
        return Load(rows * stretch.context // engine.sequence_ranks, -(-share // rows), self.gpus)

    @cached_property
    def _largest(self) -> list[Stretch]:
        """The largest batch of each context: no other needs more memory."""
        ascending = sorted(self.plan.stretches, key=lambda stretch: stretch.rows)
        return list({stretch.context: stretch for stretch in ascending}.values())

    @property
    def _lengths(self) -> list[Sequence[float]]:
        return [self.lengths[context] for _, context in self.plan.row_lengths()]

    def _mean(self, values: Sequence[float]) -> float:
        """Return the mean over the phase's tokens of ``values``, one for each context in turn."""
        tokens = [rows * context for rows, context in self.plan.row_lengths()]
        return sum(a * b for a, b in zip(tokens, values, strict=True)) / sum(tokens)
