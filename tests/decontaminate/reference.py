"""The rules in plain Python, over tuples of words: slow, and obvious."""

import re
from collections.abc import Mapping, Sequence

Gram = tuple[str, ...]


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def grams_of(words: Sequence[str], n: int) -> list[Gram]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def item_grams(text: str, n: int) -> list[Gram]:
    words = words_of(text)
    return [tuple(words)] if 5 <= len(words) < n else grams_of(words, n) if len(words) >= n else []


def shares(
    text: str, items: Mapping[str, str], n: int, share: str, templates: int
) -> dict[str, tuple[float, int]]:
    """Return score and number of distinct shared n-grams of each item that shares any."""
    words = words_of(text)
    own = {name: item_grams(item, n) for name, item in items.items()}
    holders = [set(grams) for grams in own.values()]
    common = {
        gram for grams in own.values() for gram in grams
        if sum(gram in held for held in holders) > templates
    }  # fmt: skip
    result = {}
    for name, grams in own.items():
        known = [(place, gram) for place, gram in enumerate(grams) if gram not in common]
        held = [(place, gram) for place, gram in known if gram in set(grams_of(words, len(gram)))]
        if held:
            score = amount(held, share) / amount(known, share)
            result[name] = score, len({gram for _, gram in held})
    return result


def amount(places: Sequence[tuple[int, Gram]], share: str) -> int:
    if share == "ngrams":
        return len(places)
    return len({place + i for place, gram in places for i in range(len(gram))})


def lcs(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the length of the longest common subsequence, by the table of all prefixes."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else longer
    return table[-1][-1]


def densest_place(item: Sequence[str], text: Sequence[str]) -> tuple[int, int, int]:
    """Return the most distinct 3-grams of an item within one and a half times its length in a text.

    Also the item's places in the text if the first, or the last of them, stood at its own there.
    """
    own = grams_of(item, 3)
    hits = [(place, own.index(gram)) for place, gram in enumerate(grams_of(text, 3)) if gram in own]
    best = (0, 0, 0)
    for last, (end, position) in enumerate(hits):
        within = [hit for hit in hits[: last + 1] if hit[0] >= end + 3 - len(item) * 3 // 2]
        distinct = len({one for _, one in within})
        if distinct > best[0]:
            best = distinct, within[0][0] - within[0][1], end - position
    return best


def alignment(item: Sequence[str], text: Sequence[str], shared: int) -> int | None:
    """Return how many of an item's words stand in order where the text is most like it."""
    distinct, *starts = densest_place(item, text)
    if distinct < min(shared, len(set(grams_of(item, 3)))):
        return None
    margin = len(item) // 4
    windows = [text[max(0, start - margin) : start + len(item) + margin] for start in starts]
    return max(lcs(item, window) for window in windows)
