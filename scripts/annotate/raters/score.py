"""Score a shard's documents by a rater of any kind that reads text."""

import numpy as np

from scripts.annotate.raters import base, scores
from scripts.annotate.raters.kinds import module_of
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.texts import Texts


class Settings(Model):
    """None: the rater decides everything."""


def build(draft: Draft, documents: Artifact, rater: Artifact, name: str) -> None:
    """Write `attributes.parquet`: `id` and a column ``name``, a row per document.

    Raises UserError if the user's files behind the rater have changed.
    """
    record = base.Record.read(rater)
    record.check_files()
    scorer = base.load(record.rater.kind).scorer(rater, record)
    ids, found = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    path = documents.member("documents.parquet")
    for batch in tables.batches(path, ["id", "text"]):
        ids.append(batch["id"].to_numpy())
        found.append(scorer.score(Texts.of_column(batch["text"])))
    draft.counts.update(scorer.counts())
    scores.write(draft, name, np.concatenate(ids), np.concatenate(found))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    documents = layout.documents(given.source, given.shard)
    rater = layout.rater(given.rater)
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), Artifact.load(rater), given.rater),
        output=layout.attributes(given.source, given.rater, given.shard),
        module="scripts.annotate.raters.score",
        loads=[module_of(base.kind_of(rater))],
        settings=settings.model_dump(mode="json"),
        inputs=[documents, rater],
    )
    scores.report(f"{given.source}/{given.shard}", given.rater, artifact)


if __name__ == "__main__":
    run(main)
