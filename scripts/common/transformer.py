"""Hugging Face models over many texts: batched by length, the same outputs whatever the batch.

A text is padded to a multiple of 32 tokens, and a batch has as many rows as its length allows, rows
of padding included: so a text always meets matrices of one shape, whatever stands beside it, and
its output does not depend on its neighbours, hence on neither shards nor their order. Models are
read from safetensors alone, never running code from their folder.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    logging,
)

from scripts.common.config.transformer import Transformer
from scripts.common.errors import UserError
from scripts.common.texts import Texts

_STEP = 32  # lengths are multiples of it
_BATCH_TOKENS = {"cpu": 2048, "cuda": 16_384}
# No token is that long on average; what lies beyond is not even tokenized.
_CHARACTERS_PER_TOKEN = 40
_ENCODED_AT_ONCE = 128  # encodings take some hundred bytes a token


@dataclass
class Truncation:
    """How many texts were read, and how many of them not to their end."""

    texts: int = 0
    truncated: int = 0

    @property
    def share(self) -> float:
        return round(self.truncated / self.texts, 6) if self.texts else 0.0


class Runner:
    """A model, on the GPU where there is one, as a function from texts to rows of numbers."""

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerFast,
        output: Callable[[Any, Tensor], Tensor],
        settings: Transformer,
    ) -> None:
        """``output`` makes float [B rows, width] of the model's output and the attention mask."""
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        half = self._device == "cuda" and settings.precision == "bfloat16"
        self._model = model.to(self._device, torch.bfloat16 if half else torch.float32).eval()
        self._output = output
        self._max_tokens = _max_tokens(model.config, tokenizer, settings.max_tokens)
        self._pad = tokenizer.pad_token_id or 0
        self._encoder = tokenizer.backend_tokenizer
        self._encoder.no_padding()
        self._encoder.no_truncation()  # done here, to count it
        self._encoder.encode_special_tokens = True  # a text cannot write the tokenizer's own signs
        self.truncation = Truncation()

    def __call__(self, texts: Texts) -> NDArray[np.float32]:
        """Return float32 [texts, width], in the order of the texts."""
        ids = self._ids(texts)
        rows: list[NDArray[np.float32] | None] = [None] * len(ids)
        for places, length in self._batches(ids):
            outputs = self._run([ids[place] for place in places], length)
            for place, row in zip(places, outputs, strict=False):  # the rest is padding
                rows[place] = row
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)  # type: ignore[arg-type]

    def _ids(self, texts: Texts) -> list[list[int]]:
        strings = [texts.encoded(place).decode() for place in range(len(texts))]
        return [
            ids
            for low in range(0, len(strings), _ENCODED_AT_ONCE)
            for ids in self._encode(strings[low : low + _ENCODED_AT_ONCE])
        ]

    def _encode(self, strings: Sequence[str]) -> Iterator[list[int]]:
        """Yield the ids of each text, cut to what the model reads, with the signs around them."""
        most = _CHARACTERS_PER_TOKEN * self._max_tokens
        room = self._max_tokens - self._encoder.num_special_tokens_to_add(False)
        encoded = self._encoder.encode_batch(
            [one[:most] for one in strings], add_special_tokens=False
        )
        for text, encoding in zip(strings, encoded, strict=True):
            self.truncation.texts += 1
            self.truncation.truncated += len(encoding) > room or len(text) > most
            encoding.truncate(room)
            yield self._encoder.post_process(encoding).ids

    def _batches(self, ids: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], int]]:
        """Yield places of texts of one padded length, and that length."""
        lengths = np.array([-(-max(len(one), 1) // _STEP) * _STEP for one in ids], np.int64)
        lengths = np.minimum(lengths, max(self._max_tokens, 1))
        for length in np.unique(lengths).tolist():
            places = np.flatnonzero(lengths == length).tolist()
            rows = self._rows(length)
            for low in range(0, len(places), rows):
                yield places[low : low + rows], length

    def _rows(self, length: int) -> int:
        return max(1, _BATCH_TOKENS[self._device] // length)

    @torch.inference_mode()
    def _run(self, ids: Sequence[Sequence[int]], length: int) -> NDArray[np.float32]:
        ids_BT = torch.full((self._rows(length), length), self._pad)
        mask_BT = torch.zeros_like(ids_BT)
        mask_BT[:, 0] = 1  # rows of padding must see something
        for row, one in enumerate(ids):
            ids_BT[row, : len(one)] = torch.tensor(one)
            mask_BT[row, : len(one)] = 1
        ids_BT, mask_BT = ids_BT.to(self._device), mask_BT.to(self._device)
        outputs = self._model(input_ids=ids_BT, attention_mask=mask_BT)
        return self._output(outputs, mask_BT)[: len(ids)].float().cpu().numpy()


def classifier(settings: Transformer, folder: Path) -> tuple[Runner, Any]:
    """Return what yields a sequence classifier's logits, and the model's configuration."""
    model = _load(AutoModelForSequenceClassification, folder)
    if model.config.pad_token_id is None and model.config.num_labels:
        model.config.pad_token_id = 0  # decoders find the last token by it
    return Runner(model, _tokenizer(folder), lambda made, _: made.logits, settings), model.config


def encoder(settings: Transformer, folder: Path) -> Runner:
    """Return what yields embeddings of length one: the mean over the tokens, or the first's."""

    def embed(made: Any, mask_BT: Tensor) -> Tensor:
        states_BTD = made.last_hidden_state.float()
        if settings.pooling == "cls":
            pooled_BD = states_BTD[:, 0]
        else:
            weights_BT1 = mask_BT.unsqueeze(-1).to(states_BTD.dtype)
            pooled_BD = (states_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)
        return torch.nn.functional.normalize(pooled_BD, dim=1)

    return Runner(_load(AutoModel, folder), _tokenizer(folder), embed, settings)


def _load(kind: Any, folder: Path) -> Any:
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            folder.as_posix(),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # a damaged file raises whatever its parser does
        raise UserError(
            f"{folder} does not load as a model ({error}): it must be a Hugging Face folder with "
            "config.json and safetensors that loads without trust_remote_code"
        ) from error
    if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
        raise UserError(
            f"{folder} has no weights for {missing[:3]}: it is no {kind.__name__[4:]}; a plain "
            "encoder needs `labels` or `pairs` to train a head with"
        )
    return model


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.as_posix(), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # see _load
        raise UserError(f"{folder} does not load as a tokenizer ({error})") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{folder} has no fast tokenizer: save it as tokenizer.json")
    return tokenizer


def _max_tokens(config: Any, tokenizer: PreTrainedTokenizerFast, wanted: int | None) -> int:
    """Return how many tokens of a text are read: as many as the model can, or as are wanted."""
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None), wanted]
    return int(min(limit for limit in limits if limit is not None))
