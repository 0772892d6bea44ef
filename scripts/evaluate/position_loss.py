"""Loss by position within long held-out documents.

A model that uses its context predicts late tokens better than early ones; one that was never
trained past some length does worse from there on. The whole beginning of a document is one input,
also where it is longer than the model's own context: that is what long-context training changes.
"""

import itertools
import logging

import numpy as np
from numpy.typing import NDArray

from scripts.common import heldout, layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.evaluate import PositionLossTask
from scripts.common.errors import UserError
from scripts.evaluate import checkpoint, scores

log = logging.getLogger(__name__)

GROUP = "position"
BUCKETS = 8
_CANDIDATES_PER_DOCUMENT = 100  # read per document wanted: few are long


class Settings(Model):
    task: PositionLossTask
    shards: dict[Name, int]  # by source


def build(draft: Draft, phase: Artifact, settings: Settings) -> None:
    """Score the beginnings of long documents.

    Raises UserError if less than half of the documents wanted are long enough, and for a model
    whose positions cannot go as far.
    """
    task = settings.task
    found = checkpoint.load(phase)
    _check_positions(found, phase, task.context)
    documents = heldout.read(
        heldout.content_records(settings.shards), task.documents * _CANDIDATES_PER_DOCUMENT
    )
    chosen = long_documents(found, documents, task)
    losses = checkpoint.token_losses(found.model, [tokens for _, tokens in chosen])
    scores.write(
        [
            scores.Score(str(document.id), document.id, GROUP, metric, value)
            for (document, _), row in zip(chosen, losses, strict=True)
            for metric, value in bucket_means(row).items()
        ],
        draft,
    )


def long_documents(
    found: checkpoint.Checkpoint, documents: list[heldout.Document], task: PositionLossTask
) -> list[tuple[heldout.Document, list[int]]]:
    """Return the first documents with ``task.context`` tokens, each with its prefix and those."""
    chosen: list[tuple[heldout.Document, list[int]]] = []
    for document in documents:
        if len(chosen) == task.documents:
            break
        if len(document.text.encode()) < task.context:  # a token has at least a byte
            continue
        tokens = found.encode(document.text)
        if len(tokens) > task.context:
            chosen.append((document, tokens[: task.context + 1]))
    if 2 * len(chosen) < task.documents:
        raise UserError(
            f"only {len(chosen)} of {task.documents} held-out documents wanted have "
            f"{task.context} tokens: lower the task's `documents` or `context`, "
            "or raise heldout.fraction"
        )
    return chosen


def bucket_means(losses: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean loss [nats] of equal stretches of positions, by the last one of each.

    ``loss_0256`` of 1024 positions in 8 buckets is the mean over the positions 129 to 256.
    """
    edges = np.linspace(0, len(losses), min(BUCKETS, len(losses)) + 1).round().astype(int)
    width = max(4, len(str(len(losses))))
    return {
        f"loss_{end:0{width}d}": float(losses[start:end].mean())
        for start, end in itertools.pairwise(edges)
    }


def _check_positions(found: checkpoint.Checkpoint, phase: Artifact, context: int) -> None:
    rotary = getattr(found.model.config, "rope_parameters", None) is not None
    if context > found.context and not rotary:
        raise UserError(
            f"{phase.folder}: the model has {found.context} learned positions, not the {context} "
            "of the task: lower the task's `context`"
        )


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--phase", required=True)
    command.add_argument("--task", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    phase = layout.phase(arguments.phase)
    artifact = make(
        lambda draft: build(draft, Artifact.load(phase), settings),
        output=layout.evaluation(arguments.phase, arguments.task),
        module="scripts.evaluate.position_loss",
        settings=settings.model_dump(mode="json"),
        inputs=[phase, *heldout.content_records(settings.shards)],
    )
    log.info("%s/%s: %s", arguments.phase, arguments.task, scores.summary(artifact.counts))


if __name__ == "__main__":
    run(main)
