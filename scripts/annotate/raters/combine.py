"""Score a shard's documents by a combined rater: its raters' scores, ranked and made into one."""

from scripts.annotate.raters import scores
from scripts.annotate.raters.calibrate import COMBINATION, SAMPLE
from scripts.annotate.raters.combination import Combination
from scripts.annotate.raters.percentiles import Percentiles, paths, read_scores
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name


class Settings(Model):
    domain: Name
    raters: list[Name]


def build(
    draft: Draft, source: str, shard: int, calibration: Artifact, name: str, settings: Settings
) -> None:
    """Write `attributes.parquet`: `id` and a column ``name`` in [0, 1], a row per document."""
    combination = Combination.model_validate_json(calibration.member(COMBINATION).read_bytes())
    sample = tables.read(calibration.member(SAMPLE))
    given = read_scores(source, shard, settings.raters)
    ranked = Percentiles.of_table(sample, settings.raters).of(settings.domain, given)
    scores.write(draft, name, given.ids, combination(ranked))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True, type=int)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    calibration = layout.rater(given.rater)
    artifact = make(
        lambda draft: build(
            draft,
            given.source,
            given.shard,
            Artifact.load(calibration),
            given.rater,
            settings,
        ),
        output=layout.attributes(given.source, given.rater, given.shard),
        module="scripts.annotate.raters.combine",
        settings=settings.model_dump(mode="json"),
        inputs=[calibration, *paths(given.source, given.shard, settings.raters)],
    )
    scores.report(f"{given.source}/{given.shard}", given.rater, artifact)


if __name__ == "__main__":
    run(main)
