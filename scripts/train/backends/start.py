"""From a model on the host to a backend that trains it: blocks compiled, weights where they go."""

import torch
from transformers import PreTrainedModel

from scripts.common.config.train import Engine, Optimizer
from scripts.train.backends import Backend
from scripts.train.backends.plain import PlainBackend
from scripts.train.blocks import prepare_blocks
from scripts.train.ranks import Ranks


def start(
    model: PreTrainedModel,
    settings: Optimizer,
    precision: torch.dtype,
    engine: Engine,
    ranks: Ranks,
) -> Backend:
    """Return the backend that ``engine`` asks for; all processes at once, with the same weights."""
    on_gpu = ranks.device.type == "cuda"
    # Compiled before DeepSpeed adds hooks, which are to stay around what is compiled.
    prepare_blocks(model, engine.recompute, compiled=engine.compile and on_gpu)
    if engine.stage == 0:
        model.to(ranks.device)  # type: ignore[arg-type]  # transformers decorates it beyond mypy
        return PlainBackend(model, settings, precision, ranks)
    from scripts.train.backends.deepspeed import DeepSpeedBackend  # takes seconds

    return DeepSpeedBackend(model, settings, precision, engine, ranks)
