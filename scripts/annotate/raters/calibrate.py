"""Calibrate a combined rater: the distributions that its raters' scores are ranked in.

Writes ``sample.parquet`` (see ``percentiles``) and ``combination.json`` (see ``combination``). A
learned combination is fitted here, on percentiles, from good and bad documents.
"""

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scripts.annotate.raters.combination import Combination, learn, weights_of
from scripts.annotate.raters.examples import LabelledId, read
from scripts.annotate.raters.files import hashes, rater_files
from scripts.annotate.raters.percentiles import Percentiles, Sampler, Scores, paths, read_scores
from scripts.common import canonical, layout, tables
from scripts.common.artifact import Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.annotate import CombinedRater
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.common.hash_sample import HashSample

log = logging.getLogger(__name__)

SAMPLE = "sample.parquet"
COMBINATION = "combination.json"
_VALIDATION_ONE_IN = 10
_LEAST_PER_SIDE = 10
_MIN_ACCURACY = 0.6


class CalibratedSource(Model):
    domain: Name
    shards: int


class Settings(Model):
    """``sources`` are all that the rater scores."""

    rater: CombinedRater
    sources: dict[Name, CalibratedSource]

    def shards(self) -> list[tuple[str, int]]:
        return [
            (name, shard)
            for name, source in sorted(self.sources.items())
            for shard in range(source.shards)
        ]


def build(draft: Draft, name: str, settings: Settings) -> None:
    """Write the calibration; raises UserError where there is too little to learn from."""
    rater = settings.rater
    sampler = Sampler()
    for source, shard in settings.shards():
        scores = read_scores(source, shard, rater.raters)
        sampler.add(settings.sources[source].domain, scores)
    table = sampler.table(rater.raters)
    tables.write(table, draft.path(SAMPLE))
    draft.counts = {"documents": sampler.counts()}
    combination = Combination(method=rater.method, weights=weights_of(rater.raters, rater.weights))
    if rater.method == "learned":
        percentiles = Percentiles.of_table(table, rater.raters)
        combination = _learn(draft, name, settings, percentiles)
    text = canonical.dumps(combination.model_dump(mode="json")) + "\n"
    draft.path(COMBINATION).write_text(text, encoding="utf-8")


def _learn(draft: Draft, name: str, settings: Settings, percentiles: Percentiles) -> Combination:
    """Fit on equally many good and bad documents, but for a tenth that measures the fit."""
    rater = settings.rater
    sides = [HashSample(rater.documents_per_side, f"rater {name}") for _ in range(2)]
    for scores, ranked, good, known in _labelled(settings, percentiles):
        for side, of_side in zip(sides, (known & good, known & ~good), strict=True):
            side.add(scores.ids[of_side], ranked[of_side])
    good_rows, bad_rows = (side.rows() for side in sides)
    per_side = min(len(good_rows), len(bad_rows))
    if per_side < _LEAST_PER_SIDE:
        raise UserError(
            f"raters.{name}: {len(good_rows)} good and {len(bad_rows)} bad documents with scores "
            f"are too few to learn from; at least {_LEAST_PER_SIDE} of each are needed"
        )
    inputs = np.concatenate([good_rows[:per_side], bad_rows[:per_side]])
    wanted = np.repeat([True, False], per_side)
    kept = np.arange(2 * per_side) % per_side % _VALIDATION_ONE_IN == 0
    combination = learn(inputs[~kept], wanted[~kept])
    accuracy = float(((combination(inputs[kept]) > 0.5) == wanted[kept]).mean())
    if accuracy < _MIN_ACCURACY:
        log.warning(
            "raters.%s: accuracy %.3f on documents kept from training is close to chance: within "
            "a domain and language its raters cannot tell good from bad",
            name,
            accuracy,
        )
    draft.counts |= {
        "accuracy": round(accuracy, 6),
        "documents_per_side": per_side,
        "validation": int(kept.sum()),
    }
    return combination


def _labelled(
    settings: Settings, percentiles: Percentiles
) -> Iterator[tuple[Scores, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield each shard's scores and percentiles, which documents are good, and which are known."""
    rater = settings.rater
    labels = {one.id: one.good for one in read(LabelledId, rater.labels)}
    for source, shard in settings.shards():
        if not labels and source not in (*rater.positive, *rater.negative):
            continue
        scores = read_scores(source, shard, rater.raters)
        ranked = percentiles.of(settings.sources[source].domain, scores)
        if labels:
            good = np.array([labels.get(one, False) for one in scores.ids.tolist()], np.bool_)
            known = np.array([one in labels for one in scores.ids.tolist()], np.bool_)
        else:
            good = np.full(len(scores.ids), source in rater.positive)
            known = np.ones(len(scores.ids), np.bool_)
        yield scores, ranked, good, known & ~np.isnan(ranked).any(axis=1)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    artifact = make(
        lambda draft: build(draft, given.rater, settings),
        output=layout.rater(given.rater),
        module="scripts.annotate.raters.calibrate",
        settings={
            **settings.model_dump(mode="json"),
            "files": hashes(given.rater, rater_files(settings.rater)),
        },
        inputs=[
            path
            for source, shard in settings.shards()
            for path in paths(source, shard, settings.rater.raters)
        ],
    )
    log.info("rater %s: calibrated over %s", given.rater, dict(artifact.counts))


if __name__ == "__main__":
    run(main)
