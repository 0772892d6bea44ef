import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.batch_plan import BatchPlan, Stretch
from scripts.common.errors import UserError

M = 10**6


@st.composite
def ramps(draw: st.DrawFn) -> tuple[str, list[tuple[str, int, int]]]:
    """A ramp as written, and its segments: form, value, length (the last is endless)."""
    segments = [("Constant", draw(st.integers(1, 400)), draw(st.integers(1, 3000)))]
    if draw(st.booleans()):
        segments[0] = ("Warmup", *segments[0][1:])
    segments += draw(
        st.lists(
            st.tuples(
                st.sampled_from(["Constant", "Linear"]), st.integers(1, 400), st.integers(1, 3000)
            ),
            max_size=3,
        )
    )
    written = [f"{form}({value}, {length})" for form, value, length in segments]
    return " -> ".join([*written, "Constant"]), segments


def slow_value(segments: list[tuple[str, int, int]], at: int) -> float:
    start = 0.0
    for form, value, length in segments:
        if at < length:
            return value if form == "Constant" else start + (value - start) * (at / length)
        at, start = at - length, value
    return start


@given(
    batch=ramps(),
    contexts=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 2000)), min_size=1, max_size=3),
    start=st.integers(0, 3000),
    tokens=st.integers(1, 6000),
)
def test_the_plan_is_what_stepping_through_it_gives(
    batch: tuple[str, list[tuple[str, int, int]]],
    contexts: list[tuple[int, int]],
    start: int,
    tokens: int,
) -> None:
    written, segments = batch
    lengths = [("Constant", context, length) for context, length in contexts]
    context = " -> ".join(f"Constant({one}, {length})" for _, one, length in lengths)
    span = 3 * 10**6
    plan = BatchPlan.of(tokens, written, f"{context} -> Constant", start=start, span=span)

    expected, consumed = [], 0
    while True:
        row = round(slow_value(lengths, start + consumed))
        rows = max(1, math.floor(slow_value(segments, start + consumed) / row + 0.5))
        if consumed + rows * row > tokens:
            break
        expected.append((rows, row))
        consumed += rows * row
    assert len(plan) == len(expected)
    assert [plan[step][1:] for step in range(len(plan))] == expected
    firsts = [sum(rows for rows, _ in expected[:step]) for step in range(len(expected))]
    assert [plan[step].first_row for step in range(len(plan))] == firsts
    assert plan.tokens == consumed
    assert plan.rows == sum(rows for rows, _ in expected)
    flat = [row for count, row in plan.row_lengths() for _ in range(count)]
    assert flat == [row for rows, row in expected for _ in range(rows)]
    with pytest.raises(IndexError):
        plan[len(plan)]


def test_dots_ramp_changes_at_6t_and_8_3t() -> None:
    ramp = "Constant(64M, 6T) -> Constant(96M, 2.3T) -> Constant(128M)"
    plan = BatchPlan.of(10 * 10**12, ramp, 8000)
    assert [one.batch_tokens for one in plan.stretches] == [64 * M, 96 * M, 128 * M]
    assert plan.edges == (6 * 10**12, 8_300_000_000_000)
    ends = [one.batches * one.batch_tokens for one in plan.stretches]
    assert ends[0] == 6 * 10**12
    assert 0 <= ends[0] + ends[1] - 8_300_000_000_000 < 96 * M
    assert 0 <= 10 * 10**12 - sum(ends) < 128 * M


def test_a_phase_on_its_parents_clock_goes_on_in_the_ramp() -> None:
    ramp, span = "Constant(64, 1000) -> Linear(640, 5000) -> Constant", 20_000
    whole = BatchPlan.of(20_000, ramp, 32, span=span)
    first = BatchPlan.of(4000, ramp, 32, span=span)
    second = BatchPlan.of(20_000 - first.tokens, ramp, 32, start=first.tokens, span=span)
    shapes = [(rows, context) for _, rows, context in (whole[step] for step in range(len(whole)))]
    halves = [plan[step][1:] for plan in (first, second) for step in range(len(plan))]
    assert halves == shapes


def test_plain_numbers_are_the_same_batch_throughout() -> None:
    assert BatchPlan.of(1000, 64, 16).stretches == (Stretch(15, 4, 16),)
    assert BatchPlan.of(63, 64, 16).stretches == ()


@pytest.mark.parametrize(
    ("batch", "context", "named"),
    [
        ("Cosine(64)", 16, "write one of Warmup, Constant, Linear"),
        ("Linear(64)", 16, "no inherited batch_tokens"),
        ("Constant(0.5x)", 16, "'0.5x' is not a token count"),
        ("Constant(0)", 16, "0 is no size"),
        ("Constant(64, 9M)", 16, "leave -8,000,000"),
        (64, "Linear(32)", "context 'Linear.32.'.*write one of Constant"),
    ],
)
def test_faults_name_the_key_and_the_segment(
    batch: int | str, context: int | str, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        BatchPlan.of(M, batch, context)
