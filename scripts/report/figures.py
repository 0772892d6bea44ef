"""The page's figures: which data each shows, and how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.report import charts, svg
from scripts.report.charts import Cross, Figure, Interval, Series
from scripts.report.contamination import Planted
from scripts.report.funnel import HELD_OUT, KEPT, QUARANTINED, Intake, fates
from scripts.report.histograms import histograms
from scripts.report.lineage import Stages
from scripts.report.mixture import Mixture
from scripts.report.results import BETTER, UNDECIDED, WORSE, Delta, Verdict
from scripts.report.training import Phases, Run, contexts_of

VERDICT_COLOURS = {BETTER: "#007a5a", WORSE: "#c0480a", UNDECIDED: "#7b8794"}
_FATE_COLOURS = {KEPT: "#0072b2", HELD_OUT: "#9aa5b1", QUARANTINED: "#1f2933"}


@dataclass(frozen=True)
class Figures:
    funnel: Figure
    scores: Figure | None
    tradeoff: Figure | None
    mixture: Figure
    learning_rate: Figure
    loss: Figure
    heldout: Sequence[Figure]
    plane: Figure | None
    forest: Figure | None
    positions: Sequence[Figure]
    stages: Figure


def funnel(intakes: Sequence[Intake]) -> Figure:
    reasons = [name for name in fates(intakes) if name not in _FATE_COLOURS]
    by_reason = {name: svg.colour(index + 1) for index, name in enumerate(reasons)}
    colours = {
        name: _FATE_COLOURS[name] if name in _FATE_COLOURS else by_reason[name]
        for name in fates(intakes)
    }
    rows = [(one.source, one.fates, svg.short(one.collected)) for one in intakes]
    return Figure(
        "What became of the documents",
        charts.stacked_bars("Share of documents kept and dropped, by source", rows, colours),
        "Each bar is one source, all that was collected from it (the number at the right, in "
        "documents); blue was kept for training, every other colour is a reason to drop. A "
        "document that failed several tests counts once, under the first.",
        [(svg.words(name), colour) for name, colour in colours.items()],
    )


def scores(
    outlines: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
) -> Figure | None:
    """Return the histogram of every rater by domain, or None where nothing is rated."""
    if not outlines:
        return None
    domains = sorted({domain for of_rater in outlines.values() for domain in of_rater})
    colours = {domain: svg.colour(index) for index, domain in enumerate(domains)}
    panels = [
        (rater, [Series(domain, colours[domain], points) for domain, points in of_rater.items()])
        for rater, of_rater in outlines.items()
    ]
    return Figure(
        "How the raters score",
        histograms("Histograms of raters' scores, by domain", panels, "share of documents"),
        "Each panel is one rater on its own scale, each outline the documents of one domain. "
        "A rater whose outlines are narrow, or all alike, tells little apart.",
        list(colours.items()),
    )


def tradeoff(planted: Planted) -> Figure | None:
    """Return what the rules find over thresholds, or None where nothing could be planted."""
    if not planted.tradeoffs:
        return None
    colours = {rule: svg.colour(index) for index, rule in enumerate(planted.tradeoffs)}
    series = [
        one
        for rule, found in planted.tradeoffs.items()
        for one in (
            Series(f"{rule}: copies found", colours[rule], found.recall),
            Series(f"{rule}: false positives", colours[rule], found.false_positives, dashed=True),
        )
    ]
    return Figure(
        "What the rules find, by threshold",
        charts.lines(
            "Share of planted copies found, and of texts without a copy, by threshold",
            series,
            "threshold of the rule's score",
            "share found",
            from_zero=True,
        ),
        "Full lines: planted copies of all kinds whose item is found; dashed lines: texts with no "
        "copy in which an item is found all the same. A lower threshold finds more of both.",
        list(colours.items()),
    )


def mixture(mixtures: Sequence[Mixture], intakes: Sequence[Intake]) -> Figure:
    colours = {one.source: svg.colour(index) for index, one in enumerate(intakes)}
    rows = [(one.phase, one.tokens, svg.short(one.total)) for one in mixtures]
    return Figure(
        "What each phase was trained on",
        charts.stacked_bars("Share of each source in the tokens of each phase", rows, colours),
        "Each bar is one phase of training, parted by the share of its tokens that came from each "
        "source; the number at the right is the phase's tokens.",
        list(colours.items()),
    )


def _phase_colours(runs: Sequence[Run]) -> dict[str, str]:
    return {run.phase: svg.colour(index) for index, run in enumerate(runs)}


def learning_rate(runs: Sequence[Run]) -> Figure:
    colours = _phase_colours(runs)
    series = [Series(run.phase, colours[run.phase], run.lr) for run in runs]
    return Figure(
        "Learning rate",
        charts.lines(
            "Learning rate over tokens, by phase",
            series,
            "tokens, ancestors included",
            "learning rate",
            height=220,
            from_zero=True,
        ),
        "Each phase begins where its parent ended; phases above the same tokens are branches.",
        list(colours.items()),
    )


def loss(runs: Sequence[Run]) -> Figure:
    colours = _phase_colours(runs)
    series = [Series(run.phase, colours[run.phase], run.loss) for run in runs]
    window = max(run.window for run in runs)
    smoothed = f" Points are means of up to {window} steps." if window > 1 else ""
    return Figure(
        "Training loss",
        charts.lines(
            "Training loss over tokens, by phase",
            series,
            "tokens, ancestors included",
            "cross-entropy, nats per token",
        ),
        "Each phase's loss is on its own mixture: a jump at a branch is a change of text, not of "
        "ability. Compare phases by their evaluation below." + smoothed,
        list(colours.items()),
    )


def heldout(runs: Sequence[Run]) -> list[Figure]:
    """Return a figure of each domain whose held-out text was measured more than once in a phase."""
    colours = _phase_colours(runs)
    curves = {
        domain: [
            Series(run.phase, colours[run.phase], run.heldout[domain])
            for run in runs
            if len(run.heldout.get(domain, ())) > 1
        ]
        for domain in sorted({domain for run in runs for domain in run.heldout})
    }
    return [
        Figure(
            f"Held-out text during training: {domain}",
            charts.lines(
                f"Bits per byte of held-out text of the domain {domain} over tokens, by phase",
                series,
                "tokens, ancestors included",
                "bits per byte",
                height=220,
            ),
            "The same documents in all phases, whatever each is trained on: lower is better, and a "
            "rise is forgetting. A phase with a longer context sees more of a document at once.",
            [(one.label, one.colour) for one in series],
        )
        for domain, series in curves.items()
        if series
    ]


def plane(verdicts: Sequence[Verdict]) -> Figure | None:
    """Return gain against general ability kept, or None where no pair has both."""
    pairs = {f"{one.phase} against {one.against}": one.deltas for one in verdicts}
    colours = {pair: svg.colour(index) for index, pair in enumerate(pairs)}
    crosses = [
        Cross(gained.group, colours[pair], _interval(kept), _interval(gained))
        for pair, deltas in pairs.items()
        for kept in deltas
        if kept.margin is not None
        for gained in deltas
        if gained.margin is None and (gained.task, gained.metric) == (kept.task, kept.metric)
    ]
    retained = next((delta for one in verdicts for delta in one.retention), None)
    if not crosses or retained is None or retained.margin is None:
        return None
    metric = svg.words(retained.metric)
    return Figure(
        "Gain against general ability kept",
        charts.plane(
            "Gain in the trained domains against the change in the general domain",
            crosses,
            f"change in the general domain ({metric}, right is better)",
            f"gain ({metric}, up is better)",
            retained.margin,
        ),
        "Each cross is one domain of one comparison, with confidence intervals both ways. Up is a "
        "gain in that domain. Right of zero, general ability grew; left of the dashed line, the "
        "loss exceeds the margin that was set beforehand. A bar that crosses a zero line leaves "
        "that question undecided.",
        list(colours.items()),
    )


def _interval(delta: Delta, label: str = "") -> Interval:
    return Interval(label, delta.gain, delta.low, delta.high, VERDICT_COLOURS[delta.verdict])


def forest(verdicts: Sequence[Verdict], confidence: float) -> Figure | None:
    """Return the paired differences with their intervals, or None where nothing is compared."""
    metrics = sorted({delta.metric for verdict in verdicts for delta in verdict.deltas})
    panels = [
        (
            f"{verdict.phase} against {verdict.against}, {verdict.role} ({svg.words(metric)})",
            [
                _interval(delta, svg.words(delta.label))
                for delta in verdict.deltas
                if delta.metric == metric
            ],
        )
        for metric in metrics
        for verdict in verdicts
    ]
    filled = [(title, rows) for title, rows in panels if rows]
    if not filled:
        return None
    return Figure(
        "Paired differences",
        charts.forest("Paired differences with confidence intervals", filled),
        "Each dot is the mean difference over the same items, turned so that right is better, "
        f"with its {confidence:.0%} confidence interval (bootstrap over documents). Grey "
        "is undecided: the interval spans zero, or does not survive the correction for many tests.",
        list(VERDICT_COLOURS.items()),
    )


def positions(
    task: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    phases: Phases,
) -> Figure:
    """Return loss by position of the phases with a context of their own, and their parents."""
    extended = [
        name
        for name in curves
        for parent in phases[name].origins
        if not contexts_of(name, phases) & contexts_of(parent, phases)
    ]
    parents = {parent for name in extended for parent in phases[name].origins}
    shown = [name for name in curves if name in parents or name in extended] or list(curves)
    series = [
        Series(name, svg.colour(index), curves[name], dashed=name in parents)
        for index, name in enumerate(shown)
    ]
    return Figure(
        f"Loss by position ({svg.words(task)})",
        charts.lines(
            "Loss by position in long held-out documents",
            series,
            "position in the context, tokens",
            "cross-entropy, nats per token",
        ),
        "Lower is better. A phase that learned to use its longer context keeps falling to the "
        "right; a parent (dashed) that was trained on less context tends to rise past that.",
        [(one.label, one.colour) for one in series],
    )


def stages(made: Stages) -> Figure:
    names = list(made.artifacts)
    folders = sorted({name.split(".")[0] for name in names})
    colours = {name: svg.colour(folders.index(name.split(".")[0])) for name in names}
    notes = {
        name: f"{count} artifact{'s' if count > 1 else ''}"
        for name, count in made.artifacts.items()
    }
    return Figure(
        "How the results were made",
        charts.graph(
            "Graph of the programs behind this report",
            made.layers(),
            made.direct_edges(),
            notes,
            colours,
        ),
        "Each box is a program, with the number of artifacts that it made for this report; data "
        "flow downwards. Read from the artifacts' manifests; an edge that a longer path implies is "
        "not drawn.",
    )
