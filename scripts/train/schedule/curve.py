"""A drawing of learning rates over tokens, by matplotlib, which is imported to draw only."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from scripts.common.errors import UserError
from scripts.train.schedule import Schedule

_POINTS = 400  # more than a drawing's pixels can tell apart

Curve = tuple[str, Sequence[tuple[float, float]]]  # its name and its points


def sample(
    schedule: Schedule, begin: float, end: float, shift: float = 0
) -> list[tuple[float, float]]:
    """Return points (tokens + ``shift``, LR) from ``begin`` to ``end``, both sides of each jump."""
    edges = {
        before.stop: (before.end, after.start)
        for before, after in pairwise(schedule.segments)
        if begin < before.stop < end
    }
    even = {begin + (end - begin) * index / _POINTS for index in range(_POINTS + 1)}
    return [
        (tokens + shift, lr)
        for tokens in sorted(even | edges.keys())
        for lr in edges.get(tokens, (schedule.at(tokens),))
    ]


def draw(curves: Sequence[Curve], title: str, file: Path) -> None:
    """Draw ``curves`` to ``file`` by its suffix; raises UserError unless that is .svg or .png."""
    if file.suffix not in (".svg", ".png"):
        raise UserError(f"--plot {file}: its name must end in .svg or .png")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="tokens", ylabel="learning rate")
    for name, points in curves:
        axes.plot(*zip(*points, strict=True), label=name)
    axes.set_ylim(bottom=0)
    if len(curves) > 1:
        axes.legend()
    with mpl.rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(file, dpi=150)
