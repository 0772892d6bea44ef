import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.quantity import tokens


@pytest.mark.parametrize(
    ("text", "count"),
    [("20M", 20_000_000), ("1.5B", 1_500_000_000), ("7", 7), (7, 7), ("2k", 2000)],
)
def test_counts(text: object, count: int) -> None:
    assert tokens(text) == count


@given(st.integers(0, 10**6))
def test_scale_is_a_factor(count: int) -> None:
    assert tokens(f"{count}K") == 1000 * count


@given(st.integers(0, 10**8), st.sampled_from([("B", 10**9), ("T", 10**12)]))
def test_decimals_are_exact(hundredths: int, scale: tuple[str, int]) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02d}{scale[0]}"
    assert tokens(text) == hundredths * scale[1] // 100


@pytest.mark.parametrize("text", ["", "M", "1.5", "-3", "3 apples", True, None])
def test_anything_else_is_an_error(text: object) -> None:
    with pytest.raises(ValueError, match="token"):
        tokens(text)
