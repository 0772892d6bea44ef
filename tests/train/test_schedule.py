import math
import subprocess
import sys

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
        ("Linear", "the LR it ends at"),
        ("Constant(1e-3,)", "give an LR"),
        ("Constant(fast)", "'fast' is no LR"),
        ("Constant(-1e-3)", "no LR"),
        ("Linear(0)", "no inherited LR"),
        ("Constant", "no inherited LR"),
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


def test_command_line_prints_csv_without_loading_torch() -> None:
    script = (
        "import runpy, sys; sys.argv = ['schedule', 'Linear(0.1x)', '--tokens', '8M', "
        "'--inherit', '1e-3', '--at', '0', '4M', '8M']; "
        "runpy.run_module('scripts.train.schedule', run_name='__main__'); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "tokens,lr\n0,0.001\n4000000,0.00055\n8000000,0.0001\n"
