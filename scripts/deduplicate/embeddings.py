"""Embed a shard's documents, held-out ones included, with a sentence encoder.

The member ``embeddings.npy``, float16 [documents and then held-out ones, dimensions], has the mean
of the last layer's states over a document's first tokens, with length one.
"""

import logging
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
from pydantic import Field

from scripts.common import canonical, layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.config.transformer import Transformer
from scripts.common.errors import UserError
from scripts.common.model_folder import model_files
from scripts.common.texts import Texts
from scripts.common.transformer import Runner, Truncation, encoder
from scripts.deduplicate import rows_file
from scripts.deduplicate.rows_file import EMBEDDING_ITEM
from scripts.deduplicate.signatures import SIGNED

log = logging.getLogger(__name__)


class Settings(Model):
    """``path`` is the encoder's folder; of a document ``max_tokens`` are read."""

    path: str
    max_tokens: Annotated[int, Field(gt=0)]


def build(draft: Draft, documents: Artifact, settings: Settings) -> None:
    """Write ``embeddings.npy`` of one shard; counts tell how many documents were read in part."""
    embed = encoder(Transformer(max_tokens=settings.max_tokens), Path(settings.path))
    width = _width(embed)
    paths = [documents.member(f"{name}.parquet") for name, _ in SIGNED]
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    file = draft.path("embeddings.npy")
    with rows_file.writing(file, rows, width, EMBEDDING_ITEM) as append:
        for path in paths:
            for batch in tables.batches(path, ["text"]):
                append(embed(Texts.of_column(batch.column("text"))))
    draft.counts.update(
        {"documents": rows, "dimensions": width, "truncated": embed.truncation.truncated}
    )


def _width(embed: Runner) -> int:
    width = embed(Texts.of_strings(["a"])).shape[1]
    embed.truncation = Truncation()
    return width


def encoder_hashes(path: str) -> dict[str, str]:
    """Return the sha256 of the encoder's files by name; raises UserError if there are none."""
    files = model_files(Path(path))
    if not files:
        raise UserError(f"deduplicate.semantic.path: {path} holds no model: correct the path")
    return {file.name: canonical.sha256_file(file) for file in files}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    options = arguments.parse_args()
    settings = parse_settings(Settings, options.settings)
    documents = layout.documents(options.source, options.shard)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), settings),
        output=layout.embeddings(options.source, options.shard),
        module="scripts.deduplicate.embeddings",
        settings={**settings.model_dump(mode="json"), "files": encoder_hashes(settings.path)},
        inputs=[documents],
    )
    log.info(
        "%s/%s: embedded %s documents, %s of them by their first %s tokens",
        *(options.source, options.shard),
        *(f"{artifact.counts[key]:,}" for key in ("documents", "truncated")),
        f"{settings.max_tokens:,}",
    )


if __name__ == "__main__":
    run(main)
