"""Train a rater, or take over the user's own: what its kind's module does, and a record of it."""

import logging

from scripts.annotate.raters import base
from scripts.annotate.raters.files import hashes, rater_files
from scripts.annotate.raters.kinds import module_of
from scripts.common import layout
from scripts.common.artifact import Draft, make
from scripts.common.command import parse_settings, parser, run

log = logging.getLogger(__name__)


def build(draft: Draft, name: str, training: base.Training, files: dict[str, str]) -> None:
    """Write the kind's members and ``rater.json``; ``files`` are all the user's with their sha256.

    Raises UserError where the rater cannot be made.
    """
    rater = training.rater
    base.load(rater.kind).train(draft, name, training)
    examples = {*getattr(rater, "labels", ()), *getattr(rater, "pairs", ())}
    needed = {path: sha256 for path, sha256 in files.items() if path not in examples}
    base.Record(rater=rater, files=needed).write(draft)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    training = parse_settings(base.Training, given.settings)
    files = hashes(given.rater, rater_files(training.rater))
    artifact = make(
        lambda draft: build(draft, given.rater, training, files),
        output=layout.rater(given.rater),
        module="scripts.annotate.raters.train",
        loads=[module_of(training.rater.kind)],
        settings={**training.model_dump(mode="json"), "files": files},
        inputs=[content for source in training.shards for content in training.documents(source)],
    )
    told = ", ".join(f"{key} {value}" for key, value in artifact.counts.items())
    log.info("rater %s (%s): %s", given.rater, training.rater.kind, told or "taken as it is")


if __name__ == "__main__":
    run(main)
