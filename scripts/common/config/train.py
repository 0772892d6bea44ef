"""The model and the tree of phases."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from scripts.common.batch_plan import BatchPlan, Ramp
from scripts.common.config.base import Fraction, Model, Name
from scripts.common.errors import UserError
from scripts.common.quantity import Tokens


class Architecture(Model):
    """A Llama-architecture model made from scratch, or the checkpoint folder at ``path``."""

    path: str | None = None
    hidden_size: Annotated[int, Field(gt=0)] = 128
    intermediate_size: Annotated[int, Field(gt=0)] = 352
    layers: Annotated[int, Field(gt=0)] = 4
    heads: Annotated[int, Field(gt=0)] = 2
    rope_base: Annotated[float, Field(gt=0)] = 10_000.0
    seed: int = 0


class Optimizer(Model):
    """AdamW, as OLMo 2 sets it unless said otherwise."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    beta1: Fraction = 0.9
    beta2: Fraction = 0.95
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    z_loss: Annotated[float, Field(ge=0)] = 0.0


class Spikes(Model):
    """Which optimizer steps are not taken: their tokens count as seen, their gradient is dropped.

    Those whose loss or gradient norm is not finite, or lies more than ``deviations`` standard
    deviations above the mean of the last ``window`` steps that were taken; before there are as many
    in the phase, only the former. ``in_a_row`` such steps end the run.
    """

    window: Annotated[int, Field(gt=1)] = 128
    deviations: Annotated[float, Field(gt=0)] | None = 6.0  # none: only what is not finite
    in_a_row: Annotated[int, Field(gt=0)] = 10


class Engine(Model):
    """How a phase is computed. What is computed is the same but for rounding.

    ``processes``, with one GPU each where there are any, train by DeepSpeed; one alone,
    without ``zero``, by plain torch.
    """

    processes: Annotated[int, Field(gt=0)] = 1
    zero: Literal[0, 1, 2, 3] | None = None  # the ZeRO stage; 1 unless given for several processes
    offload: bool = False  # moments and fp32 weights in the host's memory
    sequence_ranks: Annotated[int, Field(gt=0)] = 1  # that share each row (Ulysses)
    micro_batch_tokens: Tokens | None = None  # at a time on a process; none: by the device
    recompute: Literal["nothing", "cheap", "blocks"] = "nothing"  # in the backward pass
    compile: bool = True  # blocks, on a GPU
    deterministic: bool = True  # also on a GPU, where it costs some speed

    @property
    def stage(self) -> int:
        """The ZeRO stage: 0 has no need of DeepSpeed."""
        if self.zero is None:
            return 1 if self.processes > 1 else 0
        return self.zero

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.processes % self.sequence_ranks:
            raise ValueError(
                f"sequence_ranks {self.sequence_ranks} does not divide processes {self.processes}"
            )
        if self.offload and self.stage == 0:
            raise ValueError("offload needs `zero` 1, 2 or 3: stage 0 has nothing to offload")
        return self


class Rope(Model):
    """Adjusted base frequency (survey, section 8.4.1): a larger RoPE base for a longer context."""

    method: Literal["abf"]
    base: Annotated[float, Field(gt=0)]


class Inherit(Model):
    """What a phase takes over from its parent, besides the weights."""

    lr: Annotated[float, Field(gt=0)] | None = None  # to start from instead of the parent's last
    optimizer: bool = True  # its moments
    clock: bool = False  # the count of tokens that `lr`, `batch_tokens` and `context` go by


class Child(Model):
    """What starts from another phase, its ``parent``, or anew where that is null."""

    parent: Name | None

    @property
    def origins(self) -> tuple[str, ...]:
        """The phases that its weights come from."""
        return () if self.parent is None else (self.parent,)


class Batching(Child):
    """What decides the batches of a phase."""

    tokens: Tokens
    schedule_tokens: Tokens | None = None  # what the notations span; none: to the phase's end
    batch_tokens: Ramp = 4096
    context: Ramp = 256
    inherit: Inherit = Inherit()

    @model_validator(mode="after")
    def _inherits_from_a_parent(self) -> Self:
        if self.inherit.clock and self.parent is None:
            raise ValueError("inherit.clock: there is no parent whose clock could go on")
        if self.inherit.clock and self.inherit.lr is not None:
            raise ValueError("inherit.lr: with its parent's clock a phase has its schedule's LR")
        return self

    def plan(self, parent_clock: int) -> BatchPlan:
        """Return the batches of a phase whose parent's clock stands at ``parent_clock``.

        Raises UserError for a ramp that cannot be read, and where not a single batch fits.
        """
        start = parent_clock if self.inherit.clock else 0
        if self.schedule_tokens is not None and self.schedule_tokens < start + self.tokens:
            raise UserError(
                f"schedule_tokens: {self.schedule_tokens:,} end before the phase does, after "
                f"{start + self.tokens:,}: raise it, or leave it out"
            )
        plan = BatchPlan.of(
            self.tokens,
            self.batch_tokens,
            self.context,
            start=start,
            span=self.schedule_tokens,
        )
        if not plan.stretches:
            raise UserError(
                f"tokens: {self.tokens} is less than one batch (batch_tokens "
                f"{self.batch_tokens}): raise it, or lower batch_tokens"
            )
        return plan


class Scheduling(Batching):
    """What decides the learning rate of a phase, and its batches."""

    lr: str
    decay: Literal["Linear", "Cosine", "Exponential", "OneMinusSqrt"] = "Linear"


class Phase(Scheduling):
    """One phase of training; one without parent starts from ``model``."""

    mixture: Name
    rope: Rope | None = None
    max_epochs: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0
    optimizer: Optimizer = Optimizer()
    spikes: Spikes = Spikes()
    precision: Literal["fp32", "bf16", "fp8"] | None = None  # none: bf16 on a GPU, else fp32
    engine: Engine = Engine()
    checkpoint_tokens: Tokens = 1_000_000
    heldout_tokens: Tokens | None = 25_000_000  # between measurements of held-out text; none: never

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        batch, context = self.batch_tokens, self.context
        if context == 1:
            raise ValueError("context 1: a row of one token has nothing to predict")
        if isinstance(batch, int) and isinstance(context, int) and batch % context:
            raise ValueError(f"batch_tokens {batch} is no multiple of context {context}")
        if self.precision == "fp8" and self.engine.stage == 3:
            raise ValueError("precision fp8 is not known to work with `engine.zero` 3: lower it")
        return self


def _shares(weights: dict[str, float]) -> dict[str, float]:
    """Return weights that sum to one, by name: the same however they were ordered and scaled."""
    total = math.fsum(weights.values())
    return {name: weights[name] / total for name in sorted(weights)}


class Merge(Model):
    """The weighted mean of other phases' weights: a phase that trains nothing.

    As OLMo 2 averages anneals over several orders of the data (arXiv:2501.00656), and Nemotron 3
    Super a window of one run's checkpoints (arXiv:2604.12374).
    """

    merge: Annotated[
        dict[Name, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
        Field(min_length=2),
        AfterValidator(_shares),
    ]

    @property
    def origins(self) -> tuple[str, ...]:
        """The phases that its weights come from."""
        return tuple(self.merge)


def _phase_or_merge(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Validate as what its keys say it is, for errors of that alone, under the keys as written."""
    if isinstance(value, dict):
        return (Merge if "merge" in value else Phase).model_validate(value)
    return handler(value)


AnyPhase = Annotated[Phase | Merge, WrapValidator(_phase_or_merge)]
