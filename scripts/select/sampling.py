"""Targeted sampling: how often a kept document is read in an epoch, by its language and length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.common.config.select import Sampling
from scripts.common.keyed_hash import keyed_hash

NO_RULE = -1
_HASHES = 2.0**64


def rule_of(
    rules: Sequence[Sampling], languages: NDArray[np.object_], words: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the index of the first rule that each document meets, NO_RULE where it meets none."""
    found = np.full(len(words), NO_RULE)
    for index, rule in enumerate(rules):
        low, high = (
            default if end is None else end
            for end, default in zip(rule.words, (-np.inf, np.inf), strict=True)
        )
        meets = (words >= low) & (words <= high)
        if rule.languages:
            meets &= np.isin(languages, rule.languages)
        found[meets & (found == NO_RULE)] = index
    return found


def repeats(
    rules: Sequence[Sampling], rule: NDArray[np.int64], ids: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return how often each document is to be read: its rule's rate, which without a rule is 1.

    The fraction of a rate is the share of documents, by the hash of their ids, that are read once
    more: a higher rate reads no document less often.
    """
    rates = np.array([*(one.rate for one in rules), 1.0])[rule]  # NO_RULE is the last
    whole = np.floor(rates)
    share = keyed_hash(ids, "sampling") / _HASHES
    return (whole + (share < rates - whole)).astype(np.int32)


def counts(
    rules: Sequence[Sampling],
    rule: NDArray[np.int64],
    reached: NDArray[np.bool_],
    read: NDArray[np.int32],
) -> list[dict[str, Any]]:
    """Return what each rule did to the documents that ``reached`` it, ``read`` so often each."""
    told = []
    for index, one in enumerate(rules):
        of_rule = read[reached & (rule == index)]
        kept = int((of_rule > 0).sum())
        told.append(
            {"rate": one.rate, "documents": len(of_rule), "kept": kept, "reads": int(of_rule.sum())}
        )
    return told
