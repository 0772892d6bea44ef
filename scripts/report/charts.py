"""The page's charts, as inline SVG from plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from scripts.report import svg

LEFT, RIGHT = 190, svg.WIDTH - 60
_BAR, _GAP = 22, 12


@dataclass(frozen=True)
class Series:
    """One line of a chart: (x, y) points; ``dashed`` for what serves as the reference."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; ``colour`` says the verdict."""

    label: str
    value: float
    low: float
    high: float
    colour: str


@dataclass(frozen=True)
class Cross:
    """A point of a plane with an interval along both axes, in the colour of its series."""

    label: str
    colour: str
    across: Interval
    up: Interval


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading, legend (label, colour) and how to read it."""

    title: str
    drawing: Markup
    caption: str
    legend: Sequence[tuple[str, str]] = field(default_factory=list)


def stacked_bars(
    label: str,
    rows: Sequence[tuple[str, Mapping[str, float], str]],
    colours: Mapping[str, str],
) -> Markup:
    """Draw one bar of full width per row (name, value by part, note), parted by share."""
    drawn: list[Markup] = []
    scale = svg.Scale(0, 1, LEFT, RIGHT, step=0.25)
    for index, (name, parts, note) in enumerate(rows):
        top = index * (_BAR + _GAP) + 4
        drawn.append(svg.text(LEFT - 10, top + 16, name, text_anchor="end"))
        drawn.extend(_bar(parts, top, scale, colours))
        drawn.append(svg.text(RIGHT + 8, top + 16, note, fill=svg.MUTED))
    bottom = len(rows) * (_BAR + _GAP) + 4
    for share in scale.ticks():
        drawn.append(
            svg.text(
                scale(share), bottom + 14, f"{share:.0%}", text_anchor="middle", fill=svg.MUTED
            )
        )
    return svg.drawing(bottom + 22, label, drawn)


def _bar(
    parts: Mapping[str, float], top: float, scale: svg.Scale, colours: Mapping[str, str]
) -> list[Markup]:
    total, done = sum(parts.values()), 0.0
    drawn = []
    for part, colour in colours.items():
        if value := parts.get(part, 0):
            left, right = scale(done / total), scale((done + value) / total)
            tip = svg.element("title", f"{part}: {value:,.0f} ({value / total:.1%})")
            shape = {"x": left, "y": top, "width": right - left, "height": _BAR}
            drawn.append(
                svg.element("rect", tip, **shape, fill=colour, stroke="#fff", stroke_width=1)
            )
            if right - left > 44:
                middle = (left + right) / 2
                drawn.append(
                    svg.text(
                        middle,
                        top + 15,
                        f"{value / total:.0%}",
                        text_anchor="middle",
                        fill="#fff",
                        class_="halo",
                    )
                )
            done += value
    return drawn


def lines(
    label: str,
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    height: float = 280,
    from_zero: bool = False,
) -> Markup:
    """Draw lines over common axes; ``from_zero`` begins the vertical axis at zero."""
    points = [point for one in series for point in one.points]
    across = svg.Scale.around([x for x, _ in points], 70, svg.WIDTH - 20)
    up = svg.Scale.around([y for _, y in points] + [0.0] * from_zero, height - 44, 26)
    drawn = _axes(across, up, x_title, y_title)
    for one in series:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in one.points)
        dash = {"stroke_dasharray": "6 4"} if one.dashed else {}
        drawn.append(
            svg.element(
                "polyline",
                svg.element("title", one.label),
                points=path,
                fill="none",
                stroke=one.colour,
                stroke_width=2,
                stroke_linejoin="round",
                **dash,
            )
        )
    return svg.drawing(height, label, drawn)


def _axes(across: svg.Scale, up: svg.Scale, x_title: str, y_title: str) -> list[Markup]:
    drawn = []
    for value in up.ticks():
        drawn.append(svg.line(across.start, up(value), across.end, up(value)))
        drawn.append(
            svg.text(
                across.start - 8, up(value) + 4, svg.short(value), text_anchor="end", fill=svg.MUTED
            )
        )
    for value in across.ticks():
        drawn.append(
            svg.text(
                across(value), up.start + 17, svg.short(value), text_anchor="middle", fill=svg.MUTED
            )
        )
    drawn.append(svg.line(across.start, up.start, across.end, up.start, stroke=svg.MUTED))
    middle = (across.start + across.end) / 2
    drawn.append(svg.text(middle, up.start + 37, x_title, text_anchor="middle"))
    drawn.append(svg.text(across.start - 62, 14, y_title))
    return drawn


def forest(label: str, panels: Sequence[tuple[str, Sequence[Interval]]]) -> Markup:
    """Draw intervals about zero, in panels (title, rows) with an axis each."""
    drawn: list[Markup] = []
    top = 0.0
    for title, rows in panels:
        drawn.append(svg.text(0, top + 16, title, font_weight=600))
        limit = max(max(abs(row.low), abs(row.high)) for row in rows)
        scale = svg.Scale.around([-limit, limit], 380, svg.WIDTH - 200)
        bottom = top + 30 + 24 * len(rows)
        for value in scale.ticks():
            at = scale(value)
            ink = svg.MUTED if abs(value) < 1e-12 else svg.GRID
            drawn.append(svg.line(at, top + 26, at, bottom, stroke=ink))
            drawn.append(
                svg.text(at, bottom + 15, svg.short(value), text_anchor="middle", fill=svg.MUTED)
            )
        for index, row in enumerate(rows):
            drawn.extend(_forest_row(row, top + 42 + 24 * index, scale))
        top = bottom + 34
    return svg.drawing(top, label, drawn)


def _forest_row(row: Interval, y: float, scale: svg.Scale) -> list[Markup]:
    told = f"{svg.signed(row.value)} [{svg.signed(row.low)}, {svg.signed(row.high)}]"
    return [
        svg.text(366, y + 4, row.label, text_anchor="end"),
        *_whisker(scale(row.low), y, scale(row.high), y, row.colour),
        svg.element("circle", cx=scale(row.value), cy=y, r=4.5, fill=row.colour),
        svg.text(svg.WIDTH, y + 4, told, text_anchor="end", class_="figures"),
    ]


def _whisker(x1: float, y1: float, x2: float, y2: float, colour: str) -> list[Markup]:
    across = 4 if y1 == y2 else 0
    up = 0 if y1 == y2 else 4
    ends = [(x1, y1), (x2, y2)]
    return [
        svg.line(x1, y1, x2, y2, stroke=colour, stroke_width=2),
        *(
            svg.line(x - up, y - across, x + up, y + across, stroke=colour, stroke_width=2)
            for x, y in ends
        ),
    ]


def plane(
    label: str, crosses: Sequence[Cross], x_title: str, y_title: str, margin: float
) -> Markup:
    """Draw crosses over two axes through zero; left of ``-margin`` is shaded as lost."""
    height = 380
    known = [one.across for one in crosses], [one.up for one in crosses]
    across, up = (
        svg.Scale.around(
            [0.0, *ends, *(end for one in axis for end in (one.low, one.high))], start, stop
        )
        for axis, ends, start, stop in (
            (known[0], [-1.3 * margin], 70, svg.WIDTH - 20),
            (known[1], [], height - 44, 26),
        )
    )
    edge = across(-margin)
    lost = {"x": across.start, "y": up.end, "width": edge - across.start}
    drawn = [
        svg.element("rect", **lost, height=up.start - up.end, fill="#fbe9e2"),
        *_axes(across, up, x_title, y_title),
        svg.line(edge, up.start, edge, up.end, stroke="#d55e00", stroke_dasharray="5 4"),
        svg.line(across(0), up.start, across(0), up.end, stroke=svg.MUTED),
        svg.line(across.start, up(0), across.end, up(0), stroke=svg.MUTED),
        svg.text(edge - 6, up.end + 16, "lost", text_anchor="end", fill="#9c3d00"),
        svg.text(edge + 6, up.end + 16, "within the margin", fill=svg.MUTED),
    ]
    for one in crosses:
        x, y, ink = across(one.across.value), up(one.up.value), one.colour
        drawn.extend(_whisker(across(one.across.low), y, across(one.across.high), y, ink))
        drawn.extend(_whisker(x, up(one.up.low), x, up(one.up.high), ink))
        near_end = x > svg.WIDTH - 220
        drawn.append(svg.element("circle", cx=x, cy=y, r=5, fill=ink))
        drawn.append(
            svg.text(
                x - 8 if near_end else x + 8,
                y - 8,
                one.label,
                class_="halo-light",
                text_anchor="end" if near_end else "start",
            )
        )
    return svg.drawing(height, label, drawn)


def graph(
    label: str,
    layers: Sequence[Sequence[str]],
    edges: Sequence[tuple[str, str]],
    notes: Mapping[str, str],
    colours: Mapping[str, str],
) -> Markup:
    """Draw a directed graph downwards: layers of nodes, each with a note, and the edges."""
    row, box = 78, 40
    place: dict[str, tuple[float, float]] = {}
    widths = {
        node: 16 + 7.2 * max(len(node), len(notes[node])) for layer in layers for node in layer
    }
    for depth, layer in enumerate(layers):
        for index, node in enumerate(layer):
            place[node] = (svg.WIDTH * (index + 0.5) / len(layer), row * depth + box / 2 + 4)
    drawn = [_edge(place[start], place[end], box) for start, end in edges]
    for node, (x, y) in place.items():
        shape = {"x": x - widths[node] / 2, "y": y - box / 2, "width": widths[node], "height": box}
        drawn.append(
            svg.element("rect", **shape, rx=6, fill="#fff", stroke=colours[node], stroke_width=2)
        )
        drawn.append(svg.text(x, y - 2, node, text_anchor="middle", font_weight=600))
        drawn.append(
            svg.text(x, y + 14, notes[node], text_anchor="middle", fill=svg.MUTED, font_size=12)
        )
    return svg.drawing(row * (len(layers) - 1) + box + 8, label, drawn)


def _edge(start: tuple[float, float], end: tuple[float, float], box: float) -> Markup:
    (x1, y1), (x2, y2) = (start[0], start[1] + box / 2), (end[0], end[1] - box / 2)
    bend = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return svg.element("path", d=path, fill="none", stroke="#9aa5b1", stroke_width=1.3)
