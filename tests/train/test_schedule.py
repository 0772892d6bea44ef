import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.train.schedule import Schedule

M = 10**6


def lr(notation: str, at: float, *, tokens: int = 10 * M, inherited: float | None = None) -> float:
    return Schedule.parse(notation, tokens=tokens, inherited=inherited).at(at)


@pytest.mark.parametrize(
    ("notation", "at", "expected"),
    [
        ("Warmup(1e-3, 2M) -> Constant", 0, 0),
        ("Warmup(1e-3, 2M) -> Constant", 1 * M, 5e-4),
        ("Warmup(1e-3, 2M) -> Constant", 9 * M, 1e-3),
        ("Constant(4e-4)", 0, 4e-4),
        ("Constant(1e-3, 60%) -> Linear(0)", 8 * M, 5e-4),
        ("Constant(1e-3, 60%) → Decay(0)", 9 * M, 2.5e-4),
        ("Constant(1e-3, 60%) -> Cosine(0)", 7 * M, 1e-3 * (1 + math.cos(math.pi / 4)) / 2),
        ("Constant(1e-3, 60%) -> Exponential(1e-5)", 8 * M, 1e-4),
        ("Constant(1e-3, 60%) -> OneMinusSqrt(0)", 7 * M, 5e-4),
        ("Constant(1e-3) -> Constant(3e-4, 1M)", 9 * M - 1, 1e-3),
        ("Constant(1e-3) -> Constant(3e-4, 1M)", 9 * M, 3e-4),
        ("Linear(0.1x)", 10 * M, 2e-4),
        ("Warmup(2x, 1M) -> Linear(0)", 1 * M, 4e-3),
        ("Constant", 3 * M, 2e-3),
        ("Warmup(8e-5, 8K) -> Cosine(8e-7, 5M) -> Linear(0)", 10 * M, 0),
        ("WSD(1e-3, 1M, 20%)", 0.5 * M, 5e-4),
        ("WSD(1e-3, 1M, 20%)", 7.9 * M, 1e-3),
        ("WSD(1e-3, 1M, 20%)", 9 * M, 5e-4),
        ("WSD(1x, 1M, 20%, 0.1x)", 9 * M, 1.1e-3),
        ("WSD(1e-3, 1M, 2M) -> Linear(1e-3, 3M)", 6 * M, 5e-4),
        ("WSD(1e-3, 1M, 2M) -> Linear(1e-3, 3M)", 8.5 * M, 5e-4),
    ],
)
def test_values_worked_out_by_hand(notation: str, at: int, expected: float) -> None:
    assert lr(notation, at, inherited=2e-3) == pytest.approx(expected, abs=1e-12)


@given(
    forms=st.lists(
        st.tuples(
            st.sampled_from(["Linear", "Cosine", "Exponential", "OneMinusSqrt", "Decay"]),
            st.floats(1e-6, 1e-2),
            st.integers(1, 10**5),
        ),
        min_size=1,
        max_size=5,
    ),
    inherited=st.floats(1e-6, 1e-2),
)
def test_segments_join_and_end_where_they_say(
    forms: list[tuple[str, float, int]], inherited: float
) -> None:
    total = sum(length for _, _, length in forms)
    notation = " -> ".join(f"{form}({end!r}, {length})" for form, end, length in forms)
    schedule = Schedule.parse(notation, tokens=total, inherited=inherited)
    assert schedule.at(0) == pytest.approx(inherited)
    consumed, start = 0, inherited
    for _, end, length in forms:
        middle = schedule.at(consumed + length / 2)
        assert min(start, end) * (1 - 1e-9) <= middle <= max(start, end) * (1 + 1e-9)
        consumed, start = consumed + length, end
        assert schedule.at(consumed) == pytest.approx(end, rel=1e-9)
        assert schedule.at(consumed - 1e-6) == pytest.approx(end, rel=0.5) or length < 10
    assert schedule.last == schedule.at(total + 1) == forms[-1][1]


@pytest.mark.parametrize(
    ("notation", "named"),
    [
        ("Quadratic(0)", "Quadratic"),
        ("", "write one of"),
        ("Constant(1e-3) -> ", "write one of"),
        ("Linear", "the value that it ends at"),
        ("Constant(1e-3,)", "give a value"),
        ("Constant(1e-3, 1M, 2M)", "give a value"),
        ("Constant(1e999)", "'1e999' is no LR"),
        ("WSD(1e-3, 1M)", "lengths of the warm-up and of the decay"),
        ("WSD(1e-3, 1M, 1M, 0, 3)", "lengths of the warm-up and of the decay"),
        ("WSD(1e-3, 6M, 4M)", "leave 0 of"),
        ("WSD(1e-3, 1M, 1M) -> Constant", "only one segment may lack a length"),
        ("Constant(fast)", "'fast' is no LR"),
        ("Constant(-1e-3)", "no LR"),
        ("Linear(0)", "no inherited lr"),
        ("Constant", "no inherited lr"),
        ("Constant(0.5x)", "needs a parent"),
        ("Warmup(1e-3) -> Cosine(0)", "only one segment may lack a length"),
        ("Constant(1e-3, 11M)", "-1,000,000"),
        ("Constant(1e-3, 9M)", "1,000,000 tokens before"),
        ("Constant(1e-3, 100%) -> Linear(0)", "leave 0 of"),
        ("Constant(1e-3, 0%) -> Linear(0)", "length is 0"),
        ("Constant(1e-3, lots) -> Linear(0)", "'lots' is not a token count"),
        ("Constant(1e-3, 1M) -> Exponential(0)", "cannot start or end at 0"),
    ],
)
def test_errors_name_the_notation_the_segment_and_the_remedy(notation: str, named: str) -> None:
    with pytest.raises(UserError) as caught:
        Schedule.parse(notation, tokens=10 * M)
    assert f"lr {notation!r}" in str(caught.value)
    assert named in str(caught.value)


FORMULAS = {  # of the survey's Table 1, and 1 - sqrt; share is s/S
    "Linear": lambda top, low, share: top - (top - low) * share,
    "Cosine": lambda top, low, share: low + 0.5 * (top - low) * (1 + np.cos(np.pi * share)),
    "Exponential": lambda top, low, share: top * np.exp(-np.log(top / low) * share),
    "OneMinusSqrt": lambda top, low, share: low + (top - low) * (1 - np.sqrt(share)),
}


@given(
    form=st.sampled_from(sorted(FORMULAS)),
    top=st.floats(1e-6, 1e-1),
    low=st.floats(1e-9, 1e-1),
    warmup=st.integers(1, 10**12),
    stable=st.integers(1, 10**13),
    decay=st.integers(1, 10**13),
    by_name=st.booleans(),
    data=st.data(),
)
def test_chains_are_the_formulas_of_table_1_in_float64(
    form: str,
    top: float,
    low: float,
    warmup: int,
    stable: int,
    decay: int,
    by_name: bool,
    data: st.DataObject,
) -> None:
    """Written as a chain, as WSD, and with `Decay` for its form: all are the piecewise formula."""
    total = warmup + stable + decay
    if by_name:
        written = f"WSD({top!r}, {warmup}, {decay}, {low!r})"
    else:
        written = f"Warmup({top!r}, {warmup}) -> Constant -> {form}({low!r}, {decay})"
    schedule = Schedule.parse(written, tokens=total, decay=form)
    token = data.draw(st.integers(0, total))
    if token < warmup:
        expected = token / warmup * top
    elif token < warmup + stable:
        expected = top
    else:
        share = np.float64(token - warmup - stable) / np.float64(decay)
        expected = FORMULAS[form](np.float64(top), np.float64(low), share)
    assert schedule.at(token) == pytest.approx(float(expected), rel=1e-9, abs=1e-15)
    assert schedule.edges == (0, warmup, warmup + stable, total)


def test_without_tokens_a_chain_is_as_long_as_its_lengths() -> None:
    schedule = Schedule.parse("Warmup(1e-3, 1B) -> Constant(1e-3, 9B)", tokens=None)
    assert schedule.edges == (0, 1e9, 1e10)
    for written, named in (
        ("Warmup(1e-3, 1B) -> Constant(1e-3)", "give it a length"),
        ("Warmup(1e-3, 1B) -> Linear(0, 10%)", "10% of what"),
    ):
        with pytest.raises(UserError, match=named):
            Schedule.parse(written, tokens=None)


def test_importing_it_loads_neither_torch_nor_numpy() -> None:
    script = (
        "import sys; from scripts.train.schedule import Schedule; "
        "from scripts.train.course import courses; "
        "sys.exit(bool({'torch', 'numpy', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
