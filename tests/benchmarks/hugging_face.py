"""Hugging Face's Trainer on packed rows, with nothing on that a speed test can do without.

It is told where documents are by their positions, as ``DataCollatorWithFlattening`` tells it. Of
these its FlashAttention makes documents that do not see each other; ``sdpa`` makes a mask, which
costs the whole row's attention. Told no positions, it attends across documents.
"""

import os
import tempfile
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from scripts.common.config.train import Optimizer
from scripts.train.batches import Batch
from tests.benchmarks.clock import Clock


class Rows(Dataset[dict[str, Tensor]]):
    """The rows of some batches, one after the other."""

    def __init__(self, batches: Sequence[Batch], *, positions: bool) -> None:
        self._rows = [row for batch in batches for row in batch.split(1)]
        self._positions = positions

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row = self._rows[index]
        items = {"input_ids": row.input_ids_BT[0], "labels": row.labels_BT[0]}
        return {**items, "position_ids": row.position_ids_BT[0]} if self._positions else items


class _Ticks(TrainerCallback):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        self._clock.tick()


def train(
    model: PreTrainedModel,
    rows: Rows,
    clock: Clock,
    *,
    micro_rows: int,
    accumulate: int,
    settings: Optimizer,
    lr: float,
    **changes: Any,
) -> float:
    """Take all rows once; return the mean loss [nats]. ``changes`` are of TrainingArguments."""
    # What it is to compile it writes into the environment, where the next run would find it.
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ):
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=micro_rows,
            gradient_accumulation_steps=accumulate,
            num_train_epochs=1,
            train_sampling_strategy="sequential",
            optim="adamw_torch_fused",
            learning_rate=lr,
            lr_scheduler_type="constant",
            weight_decay=settings.weight_decay,
            adam_beta1=settings.beta1,
            adam_beta2=settings.beta2,
            max_grad_norm=settings.clip_norm,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **changes,
        )
        trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[_Ticks(clock)])
        return trainer.train().training_loss
