"""Write the report: one HTML page that tells what went in, what was trained and what came of it.

The page needs no network and no script. Equal inputs give equal bytes.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from scripts.common import canonical, command, layout
from scripts.common.artifact import Draft, make
from scripts.common.config.base import Model, Name
from scripts.common.config.evaluate import Evaluate
from scripts.common.config.train import Merge
from scripts.report import contamination, figures, raters, results, svg, training
from scripts.report.funnel import fates, read_intake
from scripts.report.lineage import Stages, read_stages
from scripts.report.mixture import read_mixture

log = logging.getLogger(__name__)

TEMPLATE = Path(__file__).with_name("page.html.j2")


class Settings(Model):
    """What the page tells of; phases that are neither evaluated nor ancestors are left out."""

    title: str
    sources: Mapping[Name, raters.ReportedSource]
    phases: Mapping[Name, training.ReportedPhase | Merge]
    evaluate: Evaluate

    def reported_phases(self) -> list[str]:
        return training.with_ancestors(self.evaluate.phases, self.phases)

    def trained(self) -> dict[str, training.ReportedPhase]:
        """Return the reported phases that were trained, each after those that it descends from."""
        return {
            name: phase
            for name in self.reported_phases()
            if not isinstance(phase := self.phases[name], Merge)
        }

    def merges(self) -> dict[str, Merge]:
        return {
            name: phase
            for name in self.reported_phases()
            if isinstance(phase := self.phases[name], Merge)
        }

    def shards(self) -> list[tuple[str, int]]:
        return [
            (name, shard) for name, source in self.sources.items() for shard in range(source.shards)
        ]

    def tasks_of(self, *kinds: str) -> list[str]:
        return [name for name, task in self.evaluate.tasks.items() if task.kind in kinds]


def inputs(settings: Settings) -> list[Path]:
    """Return the content records that the page is made from."""
    shards = settings.shards()
    return [
        *(layout.documents(source, shard) for source, shard in shards),
        *(layout.selection(source, shard) for source, shard in shards),
        *(layout.attributes(source, "contamination", shard) for source, shard in shards),
        *(
            layout.attributes(source, rater, shard)
            for source, shard in shards
            for rater in settings.sources[source].raters
        ),
        *(layout.order(phase) for phase in settings.trained()),
        *(layout.phase(phase) for phase in settings.reported_phases()),
        *(
            layout.evaluation(phase, task)
            for phase in settings.evaluate.phases
            for task in settings.evaluate.tasks
        ),
        layout.contamination_items(),
        layout.contamination_planted(),
        layout.comparison(),
    ]


def build(draft: Draft, settings: Settings, stages: Stages) -> None:
    """Read the artifacts under ``results/`` and write ``index.html``."""
    evaluate = settings.evaluate
    intakes = [
        read_intake(name, source.domain, source.shards) for name, source in settings.sources.items()
    ]
    runs = [
        training.read_run(phase, told, training.start_of(phase, settings.phases))
        for phase, told in settings.trained().items()
    ]
    merges = [training.read_merged(phase, merge) for phase, merge in settings.merges().items()]
    mixtures = [read_mixture(run.phase) for run in runs]
    hits = [
        hit
        for name, source in settings.sources.items()
        for hit in contamination.read_hits(name, source.shards)
    ]
    planted = contamination.read_planted()
    positional = settings.tasks_of("position-loss")
    deltas = [delta for delta in results.read_deltas() if delta.task not in positional]
    verdicts = results.verdicts(deltas, evaluate.compare, settings.phases)
    scores = results.read_scores(evaluate.phases, list(evaluate.tasks))
    ratings = raters.read_ratings(settings.sources)
    drawn = figures.Figures(
        funnel=figures.funnel(intakes),
        scores=figures.scores(raters.histograms(ratings)),
        tradeoff=figures.tradeoff(planted),
        mixture=figures.mixture(mixtures, intakes),
        learning_rate=figures.learning_rate(runs),
        loss=figures.loss(runs),
        heldout=figures.heldout(runs),
        plane=figures.plane(verdicts),
        forest=figures.forest(verdicts, evaluate.confidence),
        positions=[
            figures.positions(task, results.by_position(scores, task), settings.phases)
            for task in positional
        ],
        stages=figures.stages(stages),
    )
    draft.path("index.html").write_text(
        render(
            settings=settings,
            intakes=intakes,
            fates=fates(intakes),
            agreements=raters.agreements(ratings),
            top_share=raters.TOP_SHARE,
            runs=runs,
            merges=merges,
            hits=hits,
            planted=planted,
            mixtures=mixtures,
            verdicts=verdicts,
            bits=_of_tasks(scores, settings.tasks_of("bits-per-byte")),
            scores=_of_tasks(scores, settings.tasks_of("lm-eval")),
            figures=drawn,
        ),
        encoding="utf-8",
    )
    phases = len(runs) + len(merges)
    draft.counts.update(phases=phases, sources=len(intakes), comparisons=len(verdicts))
    log.info("report: %d sources, %d phases, %d comparisons", len(intakes), phases, len(verdicts))


def render(**values: object) -> str:
    """Fill the template; every value is escaped, as all text in it comes from the data."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(short=svg.short, signed=svg.signed, words=svg.words)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(values) + "\n"


def _of_tasks(scores: results.Scores, tasks: Sequence[str]) -> results.Scores:
    return {key: means for key, means in scores.items() if key[0] in tasks}


def main() -> None:
    arguments = command.parser(__doc__).parse_args()
    settings = command.parse_settings(Settings, arguments.settings)
    stages = read_stages(inputs(settings))
    make(
        lambda draft: build(draft, settings, stages),
        output=layout.report(),
        module="scripts.report.page",
        # What is shown and is neither code nor a content record: a change of either is a new page.
        settings={
            **settings.model_dump(mode="json"),
            "stages": {name: sorted(origins) for name, origins in stages.feeding.items()},
            "template_sha256": canonical.sha256_file(TEMPLATE),
        },
        inputs=inputs(settings),
    )


if __name__ == "__main__":
    command.run(main)
