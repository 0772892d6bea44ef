"""Causal language models in Hugging Face format: made, loaded, checked.

Documents in packed rows are told apart by our own attention, which needs to be given where they
are: ``forward_hidden`` is the one place that calls the model, so that it always is.

Processes may share rows: each then has some columns of them, and attention alone looks across.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from scripts.common.config.train import Architecture, Rope
from scripts.common.errors import UserError
from scripts.train import attention
from scripts.train.batches import Batch
from scripts.train.loss import head_loss
from scripts.train.ranks import ALONE, Ranks

log = logging.getLogger(__name__)

# What the configurations of some families call a change that they make to the logits.
_LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling")


def create(
    architecture: Architecture, vocabulary: Mapping[str, Any], context: int, rope: Rope | None
) -> PreTrainedModel:
    """Return a Llama-architecture model with weights drawn from ``architecture.seed``.

    ``vocabulary`` holds the tokenizer's ``vocabulary`` (its size), ``bos`` and ``eos`` (ids).
    """
    if architecture.hidden_size % (2 * architecture.heads):
        raise UserError(
            f"model: hidden_size {architecture.hidden_size} is no even multiple of heads "
            f"{architecture.heads}; RoPE turns pairs of dimensions within a head"
        )
    config = LlamaConfig(
        vocab_size=vocabulary["vocabulary"],
        hidden_size=architecture.hidden_size,
        intermediate_size=architecture.intermediate_size,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.heads,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": architecture.rope_base},
        bos_token_id=vocabulary["bos"],
        eos_token_id=vocabulary["eos"],
        use_cache=False,
    )
    _adapt(config, context, rope)
    torch.manual_seed(architecture.seed)
    return _checked(LlamaForCausalLM(config), rope)


def load(
    folder: Path, vocabulary: Mapping[str, Any], context: int, rope: Rope | None
) -> PreTrainedModel:
    """Load the safetensors checkpoint in ``folder`` in fp32, for ``context`` and ``rope``.

    Raises UserError if it is not one, or has fewer embeddings than the tokenizer has tokens.
    """
    config = read_config(folder)
    if config.vocab_size < vocabulary["vocabulary"]:
        raise UserError(
            f"{folder}: {config.vocab_size} embeddings for a tokenizer of "
            f"{vocabulary['vocabulary']} tokens; set `tokenizer.path` to the checkpoint's own"
        )
    _adapt(config, context, rope)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} does not load as a safetensors checkpoint: {error}") from error
    return _checked(model, rope)


def read_config(folder: Path) -> PreTrainedConfig:
    """Read the config.json of a checkpoint folder; raises UserError if it is of no known model."""
    try:
        found: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} has no usable config.json: name a Hugging Face checkpoint folder ({error})"
        ) from error
    return found


def _adapt(config: PreTrainedConfig, context: int, rope: Rope | None) -> None:
    """Set what a phase changes: no cache, room for ``context`` positions, the RoPE base."""
    config.use_cache = False
    config.max_position_embeddings = max(config.max_position_embeddings, context)
    if rope is not None:
        # transformers 5 reads this dict alone: a `rope_theta` set beside it changes nothing.
        before = getattr(config, "rope_parameters", None)
        if not before or "rope_theta" not in before:
            raise UserError(f"rope: a {config.model_type} model has no single RoPE base to change")
        kept = {key: before[key] for key in before.keys() & {"partial_rotary_factor"}}
        config.rope_parameters = {"rope_type": "default", "rope_theta": rope.base, **kept}


def _checked(model: PreTrainedModel, rope: Rope | None) -> PreTrainedModel:
    """Return the model with attention within documents; raises UserError if its head is unknown."""
    model.set_attn_implementation(attention.NAME)
    head = model.get_output_embeddings()
    scales = [name for name in _LOGIT_CHANGES if getattr(model.config, name, None) not in (None, 1)]
    if not isinstance(head, nn.Linear) or head.bias is not None or scales:
        raise UserError(
            f"a {model.config.model_type} model has logits that are not its head's alone "
            f"({scales or type(head).__name__}): it cannot be trained here"
        )
    if rope is not None:
        frequencies = model.base_model.get_buffer("rotary_emb.inv_freq")
        exponents = torch.arange(len(frequencies), device=frequencies.device) / len(frequencies)
        torch.testing.assert_close(frequencies, rope.base**-exponents, rtol=1e-5, atol=0)
    return model


def token_losses(
    model: PreTrainedModel, batch: Batch, z_weight: float, ranks: Ranks = ALONE
) -> tuple[Tensor, Tensor]:
    """Return two sums over predicted tokens: the loss to descend, and its cross-entropy [nats].

    They differ by the z-loss (see ``loss.head_loss``). Products are in the type of the weights.
    Of rows that several processes share, these are the sums over this one's columns.
    """
    columns = ranks.columns(batch.input_ids_BT.shape[1])
    labels_BT = batch.labels_BT[:, columns.start + 1 : columns.stop + 1]
    labels_N = labels_BT.flatten().to(model.device, non_blocking=True)
    hidden_ND = forward_hidden(model, batch, ranks)[:, : labels_BT.shape[1]].flatten(0, 1)
    return head_loss(hidden_ND, model.get_output_embeddings().weight, labels_N, z_weight)


def forward_hidden(model: PreTrainedModel, batch: Batch, ranks: Ranks = ALONE) -> Tensor:
    """Return the last hidden states (B, T, D) of packed rows; documents do not see each other.

    ``batch`` is best on the host still: where its documents are is read there. Of rows that several
    processes share, these are this one's columns.
    """
    documents = attention.Documents.of(batch.position_ids_BT, ranks.sequence_group)
    columns = ranks.columns(batch.input_ids_BT.shape[1])
    hidden_BTD: Tensor = model.base_model(
        input_ids=batch.input_ids_BT[:, columns].to(model.device, non_blocking=True),
        position_ids=batch.position_ids_BT[:, columns].to(model.device, non_blocking=True),
        documents=documents.to(model.device),
        use_cache=False,
    ).last_hidden_state
    return hidden_BTD


def save(model: PreTrainedModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write a Hugging Face folder with ``weights``, the parameters by name in fp32."""
    own = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in model.state_dict().items() if name not in own}
    everything = {**buffers, **weights}
    model.save_pretrained(folder, state_dict=everything, max_shard_size="1TB")  # one file
    config = json.loads((folder / "config.json").read_bytes())
    config["dtype"] = "float32"  # and not what the products were in
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def undecayed(model: PreTrainedModel) -> set[str]:
    """Return the parameters that weight decay spares: embeddings, norms and biases."""
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2 or id(parameter) in embeddings
    }
