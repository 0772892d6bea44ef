"""Small histograms side by side, as inline SVG."""

from collections.abc import Sequence

from markupsafe import Markup

from scripts.report import svg
from scripts.report.charts import Series

_COLUMNS, _HEIGHT, _GAP = 2, 190, 40


def histograms(label: str, panels: Sequence[tuple[str, Sequence[Series]]], y_title: str) -> Markup:
    """Draw a panel (title, outlines) for each; the vertical axes begin at zero."""
    drawn: list[Markup] = []
    width = (svg.WIDTH - _GAP * (_COLUMNS - 1)) / _COLUMNS
    for index, (title, outlines) in enumerate(panels):
        left = index % _COLUMNS * (width + _GAP)
        drawn.extend(_panel(title, outlines, left, left + width, index // _COLUMNS * _HEIGHT))
    drawn.append(svg.text(0, 12, y_title, fill=svg.MUTED))
    rows = -(-len(panels) // _COLUMNS)
    return svg.drawing(rows * _HEIGHT + 14, label, drawn)


def _panel(
    title: str, outlines: Sequence[Series], left: float, right: float, top: float
) -> list[Markup]:
    points = [point for one in outlines for point in one.points]
    across = svg.Scale.around([x for x, _ in points], left + 44, right)
    up = svg.Scale.around([0.0, *(y for _, y in points)], top + _HEIGHT - 30, top + 40)
    drawn = [svg.text(left + 44, top + 32, title, font_weight=600)]
    for share in up.ticks():
        drawn.append(svg.line(across.start, up(share), across.end, up(share)))
        label = f"{share:.0%}" if up.step >= 0.01 else svg.short(share)
        drawn.append(svg.text(left + 38, up(share) + 4, label, text_anchor="end", fill=svg.MUTED))
    for value in across.ticks():
        place = {"text_anchor": "middle", "fill": svg.MUTED}
        drawn.append(svg.text(across(value), up.start + 17, svg.short(value), **place))
    for one in outlines:
        (first, _), (last, _) = one.points[0], one.points[-1]
        path = " ".join(
            f"{across(x):.1f},{up(y):.1f}" for x, y in [(first, 0.0), *one.points, (last, 0.0)]
        )
        drawn.append(
            svg.element(
                "polyline",
                svg.element("title", one.label),
                points=path,
                fill=one.colour,
                fill_opacity=0.08,
                stroke=one.colour,
                stroke_width=1.6,
                stroke_linejoin="round",
            )
        )
    return drawn
