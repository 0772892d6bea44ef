"""Several processes that divide optimizer, gradients or weights: DeepSpeed's ZeRO 1 to 3.

DeepSpeed keeps fp32 weights and moments as flat pieces, one share for each process. What is yielded
and taken up here are whole tensors by name, so that nothing outside knows of stages and pieces.
Gradients are added up in fp32, over micro-batches and over processes.

Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models".
"""

import contextlib
import functools
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import deepspeed
import torch
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
    set_z3_leaf_modules,
)
from torch import Tensor, nn
from transformers import PreTrainedModel

from scripts.common.config.train import Engine, Optimizer
from scripts.train.backends import BUCKET, MOMENTS
from scripts.train.backends.plain import parameter_groups
from scripts.train.batches import Batch
from scripts.train.blocks import blocks
from scripts.train.model import token_losses
from scripts.train.ranks import Ranks

logging.getLogger("DeepSpeed").setLevel(logging.ERROR)  # it warns of what is meant to be
warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed.c10d_logger")

# On a CPU it would compile code at the start, for a call that is not made here.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


class DeepSpeedBackend:
    """A backend for a model on the host; see ``Backend``. Processes must be connected.

    Weights go to the device rounded to ``precision``, by ZeRO 3 one after the other and only this
    process's share of them: none ever has all fp32 weights there.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        settings: Optimizer,
        precision: torch.dtype,
        engine: Engine,
        ranks: Ranks,
    ) -> None:
        self.model = model
        self.ranks = ranks
        self._stage = engine.stage
        self._shapes = {name: value.shape for name, value in model.named_parameters()}
        rounded = precision != torch.float32
        exact = {name: x.detach() for name, x in model.named_parameters()} if rounded else {}
        buffers = {name: value.dtype for name, value in model.named_buffers()}
        self._adamw = _AdamW(
            parameter_groups(model, dict(model.named_parameters()), settings.weight_decay),
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )
        if engine.offload and ranks.device.type == "cuda":
            # torchrun leaves one thread to each process, which AdamW on the host would wait for.
            sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # srun gives each its own
            torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // sharing))
        module = _Losses(model, ranks)
        configuration = _configuration(model, settings, precision, engine)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how much memory there is
            if engine.stage == 3:
                _divide(module, precision, configuration)
            self._engine, *_ = deepspeed.initialize(
                model=module, optimizer=self._adamw, config=configuration
            )
        # In bf16, RoPE's frequencies would turn documents' far ends by wrong angles.
        assert buffers == {name: value.dtype for name, value in model.named_buffers()}
        self._create_moments()
        if rounded:  # DeepSpeed has made its fp32 weights from rounded ones
            self.load_weights(exact)

    def losses(self, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
        total, entropy = self._engine(batch, z_weight)
        return total, entropy

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss * self.ranks.world)  # DeepSpeed takes the mean over processes

    def update(self, lr: float, accept: Callable[[float], bool]) -> float:
        for group in self._adamw.param_groups:
            group["lr"] = lr
        # DeepSpeed steps one group of weights after the other: all must fare alike.
        self._adamw.accepted = functools.cache(lambda: accept(self._norm()))
        self._engine.step()
        return self._norm()

    def _norm(self) -> float:
        """Return the norm of the gradient of the step that is being, or was last, taken."""
        return float(self._engine.optimizer._global_grad_norm)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield name, safe_get_full_fp32_param(parameter)

    def moments(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            for key in MOMENTS:
                if key == "step":  # is the same everywhere
                    yield f"{name}.{key}", self._adamw.state[self._pieces[0]][key].clone()
                else:
                    yield f"{name}.{key}", safe_get_full_optimizer_state(parameter, key)

    @torch.no_grad()
    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            value = self._checked(name, tensors[name])
            if self._stage == 3:
                safe_set_local_fp32_param(parameter, self._share(parameter, value))
                with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
                    parameter.copy_(value)
            else:
                safe_set_full_fp32_param(parameter, value)
        if self._stage != 3:
            self._engine.optimizer.update_lp_params()

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            for key in ("exp_avg", "exp_avg_sq"):
                value = self._checked(name, tensors[f"{name}.{key}"])
                if self._stage == 3:
                    share = self._share(parameter, value)
                    safe_set_local_optimizer_state(parameter, share, key)
                else:
                    safe_set_full_optimizer_state(parameter, value, key)
        for piece in self._pieces:
            self._adamw.state[piece]["step"].copy_(tensors[f"{name}.step"])

    def _checked(self, name: str, value: Tensor) -> Tensor:
        if value.shape != self._shapes[name]:
            raise RuntimeError(f"{name} has the shape {tuple(value.shape)}")
        return value

    def _share(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        """Return this process's part of a whole tensor as ZeRO 3 cuts it, filled up with zeros."""
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]  # DeepSpeed's
        missing = size * self.ranks.world - value.numel()
        return nn.functional.pad(value.flatten(), (0, missing))[size * self.ranks.rank :][:size]

    @property
    def _pieces(self) -> list[Tensor]:
        """The flat fp32 weights that this process updates, as each of three optimizers has them."""
        optimizer = self._engine.optimizer
        for name in (
            "single_partition_of_fp32_groups",  # ZeRO 1 and 2
            "fp32_groups_flat_partition",  # ZeRO 1 in bf16
            "fp32_partitioned_groups_flat",  # ZeRO 3
        ):
            if hasattr(optimizer, name):
                pieces: list[Tensor] = getattr(optimizer, name)
                return pieces
        raise AssertionError(f"{type(optimizer).__name__} is no ZeRO optimizer that is known here")

    def _create_moments(self) -> None:
        """Make AdamW's moments, which it would make in a first step, and tell DeepSpeed of them."""
        for piece in self._pieces:
            self._adamw.state[piece] = {
                "step": torch.zeros((), device=piece.device),
                "exp_avg": torch.zeros_like(piece),
                "exp_avg_sq": torch.zeros_like(piece),
            }
        if self._stage != 3:
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()


class _Losses(nn.Module):
    """What DeepSpeed calls: the losses as one module, so that its hooks surround the head too."""

    def __init__(self, model: PreTrainedModel, ranks: Ranks) -> None:
        super().__init__()
        self.model = model
        self._ranks = ranks

    def forward(self, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
        return token_losses(self.model, batch, z_weight, self._ranks)


class _AdamW(torch.optim.AdamW):
    """AdamW that leaves weights and moments as they are where a step is not ``accepted``."""

    accepted: Callable[[], bool]

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # there is none
        if self.accepted():
            super().step()


def _divide(module: _Losses, precision: torch.dtype, configuration: dict[str, Any]) -> None:
    """Leave a share of the weights to each process, rounded, as ZeRO 3 does."""
    model = module.model
    for parameter in model.parameters():
        parameter.data = parameter.data.to(precision)
    # A block's weights are gathered together: it can be compiled as a whole.
    set_z3_leaf_modules(model, [type(block) for block in blocks(model)[:1]])
    deepspeed.zero.Init(module=module, dtype=precision, config_dict_or_path=configuration)


def _configuration(
    model: PreTrainedModel, settings: Optimizer, precision: torch.dtype, engine: Engine
) -> dict[str, Any]:
    bucket = min(sum(x.numel() for x in model.parameters()), BUCKET)
    zero: dict[str, Any] = {
        "stage": engine.stage,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": 2 * bucket,  # must be even
        # The next block's weights, while one is computed.
        "stage3_prefetch_bucket_size": sum(x.numel() for x in blocks(model)[0].parameters()),
        # Its own linear layers let go of weights in the forward pass. What is compiled does so.
        "memory_efficient_linear": not (engine.compile and torch.cuda.is_available()),
    }
    if engine.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": 1,  # of no consequence here, but wanted
        "managed_gradient_accumulation": False,  # steps of a ramp differ in their micro-batches
        "gradient_clipping": settings.clip_norm,
        # Its own check would leave an infinite gradient in offloaded sums for all steps to come.
        "bf16": {"enabled": precision == torch.bfloat16, "check_grad_overflow": False},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,  # a subclass of AdamW
        "zero_force_ds_cpu_optimizer": False,  # its own AdamW on the host would need a compiler
    }
