"""A mixture's weights as exact numbers of tokens from each source."""

from collections.abc import Mapping
from fractions import Fraction

from scripts.common.errors import UserError


def source_shares(
    phase: str,
    mixture: Mapping[str, float],
    domains: Mapping[str, str],
    tokens: Mapping[str, int],
) -> dict[str, Fraction]:
    """Return the share of each source that ``mixture`` draws on; the shares sum to one.

    A key is a source or a domain. A domain's weight is shared among its sources in proportion to
    their ``tokens``; a source with a key of its own, be it of weight 0, has no part in its domain.
    ``domains`` maps each source to its domain. Raises UserError for a key that could mean either
    of two things, and for a positive weight on nothing.
    """
    total = sum(map(Fraction, mixture.values()))
    shares: dict[str, Fraction] = {}
    for key, weight in sorted(mixture.items()):
        if weight == 0:
            continue
        sources = _members(phase, key, mixture, domains)
        there = sum(tokens[source] for source in sources)
        if there == 0:
            raise UserError(
                f"phase {phase!r}: its mixture gives {key!r} the weight {weight}, but there are 0 "
                f"tokens in {sources or 'the sources that have no key of their own'}: remove the "
                "key, loosen `select` for it, or add data"
            )
        for source in sources:
            if tokens[source]:
                shares[source] = Fraction(weight) / total * tokens[source] / there
    return dict(sorted(shares.items()))


def _members(
    phase: str, key: str, mixture: Mapping[str, float], domains: Mapping[str, str]
) -> list[str]:
    of_domain = sorted(source for source, domain in domains.items() if domain == key)
    if key not in domains:
        return [source for source in of_domain if source not in mixture]
    if of_domain not in ([], [key]):
        raise UserError(
            f"phase {phase!r}: {key!r} in its mixture is a source and also the domain of "
            f"{of_domain}: rename the source or the domain"
        )
    return [key]


def apportion(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Split ``total`` tokens by ``shares`` to the token: the method of largest remainders."""
    exact = {source: share * total for source, share in shares.items()}
    split = {source: int(tokens) for source, tokens in exact.items()}
    by_remainder = sorted(exact, key=lambda source: (split[source] - exact[source], source))
    for source in by_remainder[: total - sum(split.values())]:
        split[source] += 1
    return split
