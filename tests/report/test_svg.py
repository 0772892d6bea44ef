"""Scales, numbers and escaping, as properties."""

import math
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from scripts.report import svg

FINITE = st.integers(-(10**9), 10**9).map(lambda value: value / 1000)
PRINTABLE = st.text(st.characters(exclude_categories=["C"]))


@given(st.lists(FINITE, min_size=1))
def test_a_scale_holds_its_values_between_round_ends(values: list[float]) -> None:
    scale = svg.Scale.around(values, 0, 100)
    places = [scale(value) for value in values]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    assert math.isclose(scale(ticks[0]), 0, abs_tol=1e-3)
    assert math.isclose(scale(ticks[-1]), 100, abs_tol=1e-3)


@given(PRINTABLE, PRINTABLE)
def test_text_and_values_survive_as_they_are(content: str, value: str) -> None:
    root = ElementTree.fromstring(svg.element("text", content, aria_label=value))
    assert (root.text or "") == content
    assert root.get("aria-label") == value


def test_numbers_are_told_shortly() -> None:
    told = {
        1_234_567: "1.23M",
        300_000: "300K",
        999_999: "1M",
        0.05: "0.05",
        0: "0",
        3e-5: "3e-5",
        8.0e-4: "8e-4",
    }
    assert {value: svg.short(value) for value in told} == told
    assert [svg.signed(value) for value in (0.12345, -0.5, -0.0001)] == [
        "+0.123", "\N{MINUS SIGN}0.500", "0.000",
    ]  # fmt: skip
