"""Model FLOPs utilization: the share of a device's arithmetic that goes into the model itself.

As PaLM defines it (Chowdhery et al. 2022, appendix B): what is computed twice to save memory does
not count, and neither does anything besides matrix products.
"""

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from scripts.common.errors import UserError
from scripts.train import gpus
from scripts.train.attention import Documents
from scripts.train.batches import Batch
from scripts.train.shape import shape_of


@dataclass(frozen=True)
class Flops:
    """What a token costs in training, and what all devices can do in a second, in FLOPs."""

    per_token: float
    peak: float

    @classmethod
    def of(cls, model: PreTrainedModel, batch: Batch, devices: list[str]) -> "Flops | None":
        """Return the figures for documents as long as those of ``batch``, on devices by name.

        None where a device's peak is not known, as a CPU's, or what the model costs.
        """
        found = [gpus.find(name) for name in devices]
        peaks = [gpu.flops for gpu in found if gpu is not None]
        if not peaks or len(peaks) < len(found):
            return None
        with torch.device("meta"):  # a model in training may have its weights elsewhere
            empty = AutoModelForCausalLM.from_config(model.config, attn_implementation="eager")
        try:
            shape = shape_of(empty)
        except UserError:
            return None
        lengths = Documents.of(batch.position_ids_BT).lengths
        return cls(shape.flops_per_token(lengths), sum(peaks))

    def share(self, tokens_per_second: float) -> float:
        """Return the utilization at a speed of all devices together."""
        return tokens_per_second * self.per_token / self.peak
