"""The sizes of a Hugging Face model, counted on the model itself."""

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from scripts.common.errors import UserError
from scripts.train.blocks import blocks
from scripts.train.cost import Shape

_CLOSING_NORMS = ("post_feedforward", "post_mlp")  # as families call the norm of an MLP's output


def shape_of(model: PreTrainedModel) -> Shape:
    """Return the sizes of ``model``, which may be on the meta device, without any weights.

    Raises UserError for what is no stack of equal blocks of dense matrices, such as experts.
    """
    config = model.config
    head, embeddings = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    block = blocks(model)[0]
    names = [name for name, module in block.named_modules() if "Norm" in type(module).__name__]
    over_heads = [name for name in names if name.split(".")[-1].startswith(("q_", "k_"))]
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    mlp = _inner_width(config)
    attention = 2 * config.hidden_size * head_size * (heads + key_heads)
    return Shape(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        matrices=sum(_matrices(one) for one in blocks(model)) + head.numel(),
        block_parameters=sum(parameter.numel() for parameter in block.parameters()),
        vocabulary=len(head),
        tied=head is embeddings,
        hidden=config.hidden_size,
        heads=heads,
        key_heads=key_heads,
        head_size=head_size,
        mlp=mlp,
        gated=_matrices(block) - attention > 2.5 * config.hidden_size * mlp,
        norms=len(names) - len(over_heads),
        head_norms=bool(over_heads),
        closing_norm=any(part in name for name in names for part in _CLOSING_NORMS),
        windows=_windows(config),
    )


def _matrices(block: nn.Module) -> int:
    """Return the numbers in a block's matrices."""
    weights = list(block.parameters())
    if any(weight.ndim > 2 for weight in weights):
        raise UserError(
            "the model has experts or convolutions: what they cost can be planned for dense "
            "Transformers alone"
        )
    return sum(weight.numel() for weight in weights if weight.ndim == 2)


def _inner_width(config: PreTrainedConfig) -> int:
    width = getattr(config, "intermediate_size", None)
    if not isinstance(width, int):
        raise UserError(
            f"a {config.model_type} model does not tell its `intermediate_size`: its costs cannot "
            "be planned"
        )
    return width


def _windows(config: PreTrainedConfig) -> tuple[int | None, ...]:
    window = getattr(config, "sliding_window", None)
    if window is not None and not getattr(config, "use_sliding_window", True):
        window = None
    kinds = getattr(config, "layer_types", None) or [None] * config.num_hidden_layers
    return tuple(None if kind == "full_attention" else window for kind in kinds)
