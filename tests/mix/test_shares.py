from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import UserError
from scripts.mix.shares import apportion, source_shares

DOMAINS = {"web": "general", "books": "general", "python": "code"}
TOKENS = {"web": 300, "books": 100, "python": 50}


def test_a_domain_is_shared_by_tokens() -> None:
    shares = source_shares("p", {"general": 0.5, "code": 0.5}, DOMAINS, TOKENS)
    assert shares == {
        "books": Fraction(1, 8), "python": Fraction(1, 2), "web": Fraction(3, 8),
    }  # fmt: skip


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_a_source_named_on_its_own_has_no_part_in_its_domain(weight: float) -> None:
    shares = source_shares("p", {"general": 1 - weight, "books": weight}, DOMAINS, TOKENS)
    assert shares.get("books", 0) == weight
    assert shares["web"] == 1 - weight


@pytest.mark.parametrize(
    ("mixture", "tokens"),
    [
        ({"python": 1.0}, {**TOKENS, "python": 0}),
        ({"code": 1.0}, {**TOKENS, "python": 0}),
        ({"code": 0.5, "python": 0.5}, TOKENS),  # nothing is left for the domain
    ],
)
def test_weight_on_nothing_is_an_error(mixture: dict, tokens: dict) -> None:
    with pytest.raises(UserError, match=r"'p'.* 0 tokens"):
        source_shares("p", mixture, DOMAINS, tokens)


def test_a_name_of_two_things_is_an_error() -> None:
    domains = {"code": "code", "python": "code"}
    with pytest.raises(UserError, match=r"'code' .* rename"):
        source_shares("p", {"code": 1.0}, domains, {"code": 1, "python": 1})
    assert source_shares("p", {"code": 1.0}, {"code": "code"}, {"code": 1}) == {"code": 1}


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.integers(1, 10**15))
def test_apportion_is_exact(weights: list[int], total: int) -> None:
    shares = {f"s{i}": Fraction(weight, sum(weights)) for i, weight in enumerate(weights)}
    split = apportion(shares, total)
    assert sum(split.values()) == total
    assert all(abs(split[source] - share * total) < 1 for source, share in shares.items())
