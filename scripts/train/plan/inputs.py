"""What a plan is made from: the configuration's file, its model without weights, its documents."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import torch
import yaml
from transformers import AutoModelForCausalLM, PreTrainedModel

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.batch_plan import BatchPlan
from scripts.common.config import workflow
from scripts.common.config.workflow import Config
from scripts.common.errors import UserError
from scripts.tokenize import tokenizer
from scripts.train import model as models
from scripts.train.attention import Documents
from scripts.train.batches import Batches, Order

_SAMPLED_BATCHES = 16


def read_config(file: Path) -> Config:
    """Read and check a configuration; raises UserError naming the file or each key at fault."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"--config {file} cannot be read: {error}") from None
    return workflow.load(values)


def skeleton(config: Config) -> PreTrainedModel:
    """Return the configuration's model with shapes alone: it takes no memory, whatever its size.

    Raises UserError for a checkpoint folder without a config.json that transformers knows.
    """
    folder = config.model.path
    with torch.device("meta"):
        if folder is None:
            vocabulary = {"vocabulary": _vocabulary(config), "bos": None, "eos": None}
            return models.create(config.model, vocabulary, context=1, rope=None)
        made: PreTrainedModel = AutoModelForCausalLM.from_config(models.read_config(Path(folder)))
        return made


def _vocabulary(config: Config) -> int:
    """Return the tokenizer's size, or the most that it may have once it is trained."""
    made = layout.tokenizer(config.tokenizer.name)
    if made.is_file():
        return int(Artifact.load(made).counts["vocabulary"])
    if config.tokenizer.vocabulary is not None:
        return config.tokenizer.vocabulary
    assert config.tokenizer.path is not None  # the config's model sees to it
    return max(tokenizer.load(Path(config.tokenizer.path)).get_vocab().values()) + 1


def document_lengths(
    config: Config, phase: str, plan: BatchPlan
) -> Mapping[int, Sequence[float]] | None:
    """Return lengths of documents in the phase's rows, by the rows' context.

    They are those of a few batches from all over its order. None if that is not made yet.
    """
    try:
        order = Order(Artifact.load(layout.order(phase)), plan)
        places = {key: layout.tokens(config.tokenizer.name, *key) for key in order.source_shards}
        batches = Batches(order, places)
    except UserError:  # not there, or of other settings, and to be made again before training
        return None
    lengths: defaultdict[int, list[float]] = defaultdict(list)
    for step in _sampled_steps(plan):
        positions_BT = batches[step].position_ids_BT
        lengths[positions_BT.shape[1]] += Documents.of(positions_BT).lengths
    return lengths


def _sampled_steps(plan: BatchPlan) -> list[int]:
    """Return steps from all over a phase, at least one of each context."""
    starts = accumulate((stretch.batches for stretch in plan.stretches[:-1]), initial=0)
    of_context = dict(zip((one.context for one in plan.stretches), starts, strict=True))
    evenly = range(0, len(plan), -(-len(plan) // _SAMPLED_BATCHES))
    return sorted({*evenly, *of_context.values()})
