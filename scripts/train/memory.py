"""The memory of a GPU at the fullest instant of a training step, part by part, before any is taken.

What blocks keep for the backward pass is counted tensor by tensor, as Korthikanti et al. 2022,
"Reducing Activation Recomputation in Large Transformer Models", section 4, does for other blocks:
here they are compiled, and attention is FlashAttention, which keeps no weights of attention.
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple

from scripts.common.config.train import Engine
from scripts.train.backends import BUCKET
from scripts.train.cost import Shape
from scripts.train.loss import CHUNK_LOGITS

_CONTEXT = 1 << 30  # CUDA, its libraries and their kernels
_NCCL = 1 << 30
_FP32 = 4
_LIVE = 1_000_000_000  # weights that ZeRO 3 has together: DeepSpeed's stage3_max_live_parameters


@dataclass(frozen=True)
class Load:
    """A process's part of a step: ``micro_batches`` of at most ``tokens``; ``world`` processes."""

    tokens: int
    micro_batches: int
    world: int = 1


@dataclass(frozen=True)
class Memory:
    """The bytes of each part when their sum is greatest, which is ``fullest_at``."""

    fullest_at: str
    weights: int  # that products are made with
    masters: int  # fp32 weights, where the former are rounded
    moments: int  # AdamW's two
    gradients: int
    buffers: int  # DeepSpeed's
    activations: int  # that all blocks keep for the backward pass
    working: int  # of the block, or the head, that is computed
    context: int  # CUDA and NCCL, outside of torch's allocator

    @property
    def parts(self) -> dict[str, int]:
        return {name: size for name, size in asdict(self).items() if name != "fullest_at"}

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def allocated(self) -> int:
        """What torch.cuda.max_memory_allocated() is to return."""
        return self.total - self.context


class _Instant(NamedTuple):
    name: str
    gradients: int
    activations: int
    working: int


def predicted_bytes(shape: Shape, engine: Engine, precision: str, load: Load) -> Memory:
    """Return the memory that a step of a phase with ``engine`` needs on each GPU."""
    width = _FP32 if precision == "fp32" else 2
    shards = load.world if engine.stage else 1
    share = 0 if engine.offload else _FP32 * shape.parameters // shards
    fullest = max(
        _instants(shape, engine, width, load),
        key=lambda one: one.gradients + one.activations + one.working,
    )
    return Memory(
        fullest_at=fullest.name,
        weights=width * shape.parameters // (shards if engine.stage == 3 else 1),
        masters=share if width < _FP32 or engine.stage else 0,
        moments=2 * share,
        gradients=fullest.gradients,
        buffers=_buffers(shape, engine, width),
        activations=fullest.activations,
        working=fullest.working,
        context=_CONTEXT + (_NCCL if load.world > 1 else 0),
    )


def host_bytes(shape: Shape, engine: Engine, world: int) -> int:
    """Return the memory of the host that each process needs for what is offloaded.

    These are fp32 weights, moments and gradients.
    """
    return engine.offload * 4 * _FP32 * shape.parameters // world


def kept_per_token(shape: Shape, recompute: str, width: int = 2) -> int:
    """Return the bytes that one compiled block keeps of a token, numbers of ``width`` bytes each.

    Recomputing "nothing", these are the inputs of norms and matrices and what attention and the
    MLP's product are made of; where it is "cheap", the results of matrices and of attention; where
    it is "blocks", the block's input. Left out are the scales of norms, 4 bytes each.
    """
    if recompute == "blocks":
        return width * shape.hidden
    queries, keys = shape.heads * shape.head_size, shape.key_heads * shape.head_size
    attention = 2 * (queries + keys)  # queries, keys, values and what comes of them
    if recompute == "cheap":
        outer, inner = 2 + shape.closing_norm, 1 + shape.gated
    else:
        outer, inner = 2 + shape.norms, 2 + shape.gated
        attention += shape.head_norms * (queries + keys)
    numbers = shape.hidden * outer + attention + shape.mlp * inner
    return width * numbers + _FP32 * shape.heads  # logarithms of attention's sums


def _instants(shape: Shape, engine: Engine, width: int, load: Load) -> list[_Instant]:
    """Return the instants of a step one of which is the fullest."""
    kept = kept_per_token(shape, engine.recompute, width) * load.tokens
    gradients = _gradients(shape, engine, width, load.world)
    # Plain gradients come into being block by block: to meet all activations there must be some
    # of an earlier micro-batch.
    before = gradients if engine.stage or load.micro_batches > 1 else 0
    of_head = 0 if before or shape.tied else _FP32 * shape.head
    block = _block_bytes(shape, engine, width, load.tokens)
    return [
        _Instant("the head", before, kept * shape.layers, _head_bytes(shape, width, load.tokens)),
        _Instant("the last block", before + of_head, kept * shape.layers, block),
        _Instant("the first block", gradients, kept, block),
        _Instant("the embeddings", gradients, 0, width * shape.head),
    ]


def _gradients(shape: Shape, engine: Engine, width: int, world: int) -> int:
    """Return the bytes of a model's gradients, which are added up in fp32."""
    whole = _FP32 * shape.parameters
    if engine.stage == 2 and engine.offload:
        return width * shape.parameters  # as measured: what backward passes made, until the step
    if engine.stage >= 2:
        return 0 if engine.offload else whole // world
    if engine.stage == 1 and width < _FP32 and not engine.offload:
        return whole + width * shape.parameters  # DeepSpeed keeps those of a micro-batch, too
    return whole


def _buffers(shape: Shape, engine: Engine, width: int) -> int:
    """Return the bytes of what DeepSpeed sends gradients in, and of weights it has gathered."""
    if engine.stage < 2:
        return 0
    gathered = width * min(shape.parameters, _LIVE) if engine.stage == 3 else 0
    return _FP32 * min(shape.parameters, BUCKET) + gathered


def _block_bytes(shape: Shape, engine: Engine, width: int, tokens: int) -> int:
    """Return the bytes that a block's backward pass needs besides what was kept.

    It is fullest in the MLP, whose inner gradients take the place of what they are made of, unless
    that is recomputed; or at its end, by the gradients of its weights. A tied head's gradient waits
    all the time for the embeddings'.
    """
    everything, kept = (
        kept_per_token(shape, recompute, width) for recompute in ("nothing", engine.recompute)
    )
    inner = 1 if engine.recompute == "nothing" else 2 + shape.gated
    gradients = width * (shape.hidden + inner * shape.mlp)
    fullest = max((everything - kept + gradients) * tokens, width * shape.block_parameters)
    return fullest + width * shape.head * shape.tied


def _head_bytes(shape: Shape, width: int, tokens: int) -> int:
    """Return the bytes that the final norm and ``loss.head_loss`` need."""
    chunks = -(-tokens * shape.vocabulary // CHUNK_LOGITS)
    chunk = width * -(-tokens // chunks) * shape.vocabulary  # of logits, and as much of gradients
    states = (_FP32 + 3 * width) * shape.hidden * tokens  # normed, in fp32 too, and gradients
    rounded = width * shape.head if width < _FP32 else 0  # the sum's, when no chunk is left
    return states + _FP32 * shape.head + max(2 * chunk, rounded)
