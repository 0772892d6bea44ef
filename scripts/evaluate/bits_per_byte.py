"""Bits per byte of held-out documents, by domain.

The tokens of a document are predicted from the document alone, in windows of the model's context:
each window sees the last token of the one before it and predicts up to ``context`` new ones, so
that every token counts once. Bytes, unlike tokens, compare models of different tokenizers.
"""

import logging
import math

from scripts.common import heldout, layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.evaluate import BitsPerByteTask
from scripts.common.errors import UserError
from scripts.evaluate import checkpoint, scores

log = logging.getLogger(__name__)


class Settings(Model):
    task: BitsPerByteTask
    domains: dict[Name, Name]  # by source
    shards: dict[Name, int]


def build(draft: Draft, phase: Artifact, settings: Settings) -> None:
    """Score documents of every source; raises UserError for a domain that has none."""
    documents = [
        document
        for source, shards in sorted(settings.shards.items())
        for document in heldout.read(
            heldout.content_records({source: shards}), settings.task.documents_per_source
        )
        if document.text
    ]
    _check_domains(documents, settings)
    found = checkpoint.load(phase)
    heads = [heldout.head(document.text) for document in documents]
    bits = document_bits(found, heads)
    scores.write(
        [
            scores.Score(
                item=str(document.id),
                document=document.id,
                group=settings.domains[document.source],
                metric=scores.BITS_PER_BYTE,
                value=total / len(text.encode()),
                weight=len(text.encode()),
            )
            for document, text, total in zip(documents, heads, bits, strict=True)
        ],
        draft,
    )


def document_bits(found: checkpoint.Checkpoint, texts: list[str]) -> list[float]:
    """Return the bits that the model needs for each text."""
    cut = [heldout.windows(found.encode(text), found.context) for text in texts]
    losses = iter(checkpoint.token_losses(found.model, [one for group in cut for one in group]))
    return [sum(float(next(losses).sum()) for _ in group) / math.log(2) for group in cut]


def _check_domains(documents: list[heldout.Document], settings: Settings) -> None:
    present = {settings.domains[document.source] for document in documents}
    if absent := sorted(set(settings.domains.values()) - present):
        raise UserError(
            f"no held-out documents in the domains {absent}: "
            "raise heldout.fraction, or give their sources more documents"
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
        module="scripts.evaluate.bits_per_byte",
        settings=settings.model_dump(mode="json"),
        inputs=[phase, *heldout.content_records(settings.shards)],
    )
    log.info("%s/%s: %s", arguments.phase, arguments.task, scores.summary(artifact.counts))


if __name__ == "__main__":
    run(main)
