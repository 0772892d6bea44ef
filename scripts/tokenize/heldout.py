"""Tokenize a sample of each domain's held-out documents: what training measures its loss on.

One sample for all phases, whatever their mixtures, tokenizers and the number of shards. A document
is [bos, or eos if the tokenizer has none] + the ids of its head, as the evaluations score it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from scripts.common import heldout, layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.tokenize.encoder import ReferenceEncoder

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("bytes", pa.int32(), nullable=False),  # of the head, in UTF-8
        pa.field("tokens", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False),
    ]
)


class Settings(Model):
    tokenizer: Name
    domains: dict[Name, Name]  # by source
    shards: dict[Name, int]
    sample_bytes: int


def build(draft: Draft, tokenizer: Artifact, settings: Settings) -> None:
    """Write ``heldout.parquet``, its rows by domain and id; a domain may have none."""
    encoder = ReferenceEncoder(tokenizer.member("tokenizer.json"))
    prefix = tokenizer.counts["eos" if tokenizer.counts["bos"] is None else "bos"]
    rows: list[dict[str, Any]] = [
        {
            "domain": domain,
            "id": document.id,
            "bytes": len(text.encode()),
            "tokens": [prefix, *encoder.encode([text]).ids.tolist()],
        }
        for domain, shards in _shards_by_domain(settings).items()
        for document, text in sample(shards, settings.sample_bytes)
    ]
    if not rows:
        raise UserError(
            "no source has held-out documents: raise heldout.fraction, or set `heldout_tokens` "
            "of every phase to null"
        )
    tables.write(pa.Table.from_pylist(rows, SCHEMA), draft.path("heldout.parquet"))
    draft.counts = {
        "documents": len(rows),
        "tokens": sum(len(row["tokens"]) for row in rows),
        "domains": sorted({row["domain"] for row in rows}),
    }


def sample(shards: Mapping[str, int], least: int) -> list[tuple[heldout.Document, str]]:
    """Return held-out documents with their heads until these have ``least`` bytes, if there are.

    ``shards`` has the number of shards by source. The sample grows without changing.
    """
    records = heldout.content_records(shards)
    count = 1 + least // heldout.HEAD_BYTES
    while True:
        documents = heldout.read(records, count)
        chosen, total = [], 0
        for document in documents:
            if total >= least:
                break
            text = heldout.head(document.text)
            if text:
                chosen.append((document, text))
                total += len(text.encode())
        if total >= least or len(documents) < count:
            return chosen
        count *= 2


def _shards_by_domain(settings: Settings) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {name: {} for name in sorted(set(settings.domains.values()))}
    for source, domain in settings.domains.items():
        found[domain][source] = settings.shards[source]
    return found


def main() -> None:
    arguments = parser(__doc__).parse_args()
    settings = parse_settings(Settings, arguments.settings)
    tokenizer = layout.tokenizer(settings.tokenizer)
    made = make(
        lambda draft: build(draft, Artifact.load(tokenizer), settings),
        output=layout.heldout_tokens(settings.tokenizer),
        module="scripts.tokenize.heldout",
        settings=settings.model_dump(mode="json"),
        inputs=[tokenizer, *heldout.content_records(settings.shards)],
    )
    log.info(
        "held-out text of %s: %s documents, %s tokens",
        ", ".join(made.counts["domains"]),
        f"{made.counts['documents']:,}",
        f"{made.counts['tokens']:,}",
    )


if __name__ == "__main__":
    run(main)
