"""A phase's checkpoint as the evaluations use it: loaded from its folder, float32, no network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from scripts.common.artifact import Artifact
from scripts.common.errors import UserError

_LOGITS_PER_BATCH = 1 << 22  # 16 MiB of float32: on a CPU, larger ones are slower
_IGNORED = -100


@dataclass(frozen=True)
class Checkpoint:
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prefix: int  # the token that every document starts with

    @property
    def context(self) -> int:
        return int(self.model.config.max_position_embeddings)

    def encode(self, text: str) -> list[int]:
        """Return the prefix and the tokens of ``text``, without an end of document."""
        return [self.prefix, *self.tokenizer.encode(text, add_special_tokens=False)]


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def context_of(phase: Artifact) -> int:
    """Return the longest input, in tokens, that the phase's configuration allows.

    Raises UserError where it names none, instead of guessing a length.
    """
    phase.member("config.json")
    config = AutoConfig.from_pretrained(phase.folder, local_files_only=True)
    context = getattr(config, "max_position_embeddings", None)
    if not context:
        raise UserError(
            f"{phase.folder / 'config.json'} has no max_position_embeddings: "
            "add it, so that inputs are known to fit"
        )
    return int(context)


def load(phase: Artifact) -> Checkpoint:
    """Load the model and tokenizer of a phase. Raises UserError if no token can start a document.

    Without a beginning-of-sequence token, the end-of-sequence token is the prefix: it is what a
    document follows in training.
    """
    context_of(phase)
    tokenizer = AutoTokenizer.from_pretrained(phase.folder, local_files_only=True)
    prefix = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if prefix is None:
        raise UserError(f"{phase.folder}: the tokenizer has no bos_token and no eos_token; set one")
    model = AutoModelForCausalLM.from_pretrained(
        phase.folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    return Checkpoint(model.eval().to(device()), tokenizer, prefix)


def token_losses(
    model: PreTrainedModel, sequences: Sequence[Sequence[int]]
) -> list[NDArray[np.float64]]:
    """Return, for each sequence, the loss in nats of each of its tokens but the first.

    Sequences are batched by length, so that little is padding; the batches depend on nothing but
    the sequences and the vocabulary, so that the same input has the same rounding.
    """
    losses: list[NDArray[np.float64]] = [np.empty(0)] * len(sequences)
    pending = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    while pending:
        longest = max(len(sequences[pending[0]]) - 1, 1)
        size = max(_LOGITS_PER_BATCH // (longest * model.config.vocab_size), 1)
        batch, pending = pending[:size], pending[size:]
        rows = _batch_losses(model, [sequences[index] for index in batch])
        for index, row in zip(batch, rows, strict=True):
            losses[index] = row[: len(sequences[index]) - 1]
    return losses


@torch.inference_mode()
def _batch_losses(
    model: PreTrainedModel, sequences: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Return the losses [sequence, token], padded on the right, which causal attention ignores."""
    longest = max(map(len, sequences))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in sequences])
    lengths = torch.tensor([len(row) for row in sequences])
    targets = ids.masked_fill(torch.arange(longest) >= lengths[:, None], _IGNORED)[:, 1:]
    logits = model(input_ids=ids[:, :-1].to(model.device), use_cache=False).logits.float()
    losses = functional.cross_entropy(
        logits.flatten(0, 1),
        targets.flatten().to(model.device),
        ignore_index=_IGNORED,
        reduction="none",
    )
    return losses.view(targets.shape).cpu().double().numpy()
