"""Scalable Vector Graphics as escaped text: elements, scales and number formats.

Drawn here and not by a plotting library: the text stays text, for readers, search and screen
readers, and equal data have equal bytes on any machine, whatever fonts it has.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 860
INK, MUTED, GRID = "#1f2933", "#52606d", "#d9dee4"
# Okabe and Ito's colours, which colour-blind readers tell apart, then darker kin for more series.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8000", "#6b4c9a",
    "#004a75", "#96680a", "#00563f", "#7d3f61",
)  # fmt: skip


def colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Return one element; text and values are escaped, ``stroke_width`` is ``stroke-width``."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
    )
    inner = Markup("").join(children)  # escapes what is not markup yet
    return Markup(f"<{name}{told}>{inner}</{name}>")


def drawing(height: float, label: str, children: Iterable[Markup]) -> Markup:
    """Return a whole drawing, ``WIDTH`` wide; ``label`` is its text for screen readers."""
    return element(
        "svg", *children, viewBox=f"0 0 {WIDTH} {_value(height)}", role="img", aria_label=label
    )


def text(x: float, y: float, content: str, **attributes: str | float) -> Markup:
    return element("text", content, **{"x": x, "y": y, "fill": INK, **attributes})


def line(x1: float, y1: float, x2: float, y2: float, **attributes: str | float) -> Markup:
    return element("line", **{"x1": x1, "y1": y1, "x2": x2, "y2": y2, "stroke": GRID, **attributes})


@dataclass(frozen=True)
class Scale:
    """A linear map from values [low, high] to pixels [start, end], with a tick every ``step``."""

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> "Scale":
        """Return the scale that holds all values and begins and ends at round numbers."""
        known = list(values)
        low, high = min(known), max(known)
        if low == high:
            low, high = low - 0.5, high + 0.5
        step = _step(high - low)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step, start, end, step)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        first, last = round(self.low / self.step), round(self.high / self.step)
        return [index * self.step for index in range(first, last + 1)]


def _step(span: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides ``span`` in about five."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)


def short(value: float) -> str:
    """Return a number as an axis tells it: 1.2M, 300K, 0.05, 1e-4."""
    size = abs(value)
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if size >= scale * 0.9995:
            return f"{value / scale:.3g}{suffix}"
    if 0 < size < 9.995e-3:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}" if size >= 1e-12 else "0"
    return f"{value:.3g}"


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals, with a true minus."""
    rounded = round(value, 3) + 0.0  # no negative zero
    return f"{rounded:+.3f}".replace("-", "\N{MINUS SIGN}") if rounded else "0.000"


def words(name: str) -> str:
    """Return a technical name as text: ``bits_per_byte`` is "bits per byte"."""
    return name.replace("_", " ")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"
