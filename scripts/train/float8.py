"""FP8 products of the blocks' linear layers, by torchao: forward, and both of the backward pass.

Each factor is scaled by its largest value of the moment and rounded, activations and weights to
E4M3, gradients to E5M2 (Micikevicius et al. 2022, "FP8 Formats for Deep Learning"). What is kept,
from weights to what the optimizer holds, is as in bf16; embeddings, norms, attention and the head
are computed as there.
"""

from dataclasses import replace

import torch
from torchao.float8 import Float8LinearConfig, convert_to_float8_training
from torchao.float8.float8_linear import Float8Linear
from transformers import PreTrainedModel

from scripts.common.errors import UserError
from scripts.train.blocks import blocks

_CAPABILITY = (8, 9)  # of the first GPUs with FP8 products: Ada, Hopper
_MULTIPLE = 16  # of the sizes that they take; activations are filled up with zeros, weights are not


def use_float8(model: PreTrainedModel, device: torch.device) -> None:
    """Have the blocks' linear layers multiply in FP8 on ``device``; a CPU rounds as a GPU would.

    Layers with a size that is no multiple of 16 stay as they are. Raises UserError for a GPU
    without FP8, and for a model none of whose layers can use it.
    """
    on_gpu = device.type == "cuda"
    if on_gpu and torch.cuda.get_device_capability(device) < _CAPABILITY:
        name = torch.cuda.get_device_name(device)
        raise UserError(f"precision: {name} has no FP8 products: set it to bf16")
    recipe = Float8LinearConfig.from_recipe_name("tensorwise")
    config = replace(recipe, emulate=not on_gpu, pad_inner_dim=True)
    converted = 0
    for block in blocks(model):
        convert_to_float8_training(block, module_filter_fn=_fits, config=config)
        converted += sum(isinstance(module, Float8Linear) for module in block.modules())
    if not converted:
        raise UserError(
            "precision: fp8 needs linear layers whose sizes are multiples of 16, and this model "
            "has none: set it to bf16"
        )


def _fits(module: torch.nn.Module, _name: str) -> bool:
    return isinstance(module, torch.nn.Linear) and not (
        module.in_features % _MULTIPLE or module.out_features % _MULTIPLE
    )
