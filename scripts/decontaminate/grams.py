"""The n-grams of evaluation items that are evidence of contamination, and where they stand."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common.errors import UserError
from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.ngrams import run_hashes, same_runs

MIN_WORDS = 5  # a shorter item is no evidence of contamination

GRAMS = pa.schema(
    [
        pa.field("gram", pa.int32(), nullable=False),
        pa.field("ngram", pa.int32(), nullable=False),
        pa.field("words", pa.int32(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
    ]
)


def gram_table(
    words: HashedWords,
    benchmarks: Sequence[str],
    ngram_words: Sequence[int],
    template_items: int,
) -> tuple[pa.Table, dict[str, int]]:
    """Return the places of the items' n-grams, and how many templates each benchmark has.

    ``benchmarks`` are those of the items. An n-gram that more than ``template_items`` items of one
    benchmark share is a template there. Raises UserError if two n-grams have one hash.
    """
    if not ngram_words:
        return GRAMS.empty_table(), {}
    places = pd.concat([_places(words, length) for length in ngram_words], ignore_index=True)
    places["gram"] = _numbers(words, places)
    places["benchmark"] = np.asarray(benchmarks, object)[places["item"]]
    groups = ["gram", "ngram", "benchmark"]
    shared = places.groupby(groups, sort=False)["item"].transform("nunique") > template_items
    templates = places[shared].drop_duplicates(groups)["benchmark"].value_counts()
    evidence = places[~shared].sort_values(["ngram", "item", "position"])
    # Numbered in the order of items, so that neighbours in a text are neighbours in memory.
    evidence["gram"] = pd.factorize(evidence["gram"])[0]
    evidence = evidence.sort_values(["gram", "ngram", "item", "position"])
    columns = [evidence[name].to_numpy(np.int32) for name in GRAMS.names]
    return pa.table(columns, schema=GRAMS), {str(name): n for name, n in templates.items()}


def _places(words: HashedWords, length: int) -> pd.DataFrame:
    """Return the places of the n-grams of one length; a shorter item is one as a whole."""
    counts = np.where(words.counts < MIN_WORDS, 0, np.maximum(words.counts - length + 1, 1))
    item = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = np.minimum(words.counts, length)[item]
    return pd.DataFrame({"ngram": length, "words": own, "item": item, "position": position})


def _numbers(words: HashedWords, places: pd.DataFrame) -> NDArray[np.int64]:
    """Return a number for each place, the same where the words are."""
    length = places["words"].to_numpy(np.int64, copy=True)
    begin = words.first[places["item"].to_numpy(np.int64)] + places["position"].to_numpy(np.int64)
    keys = pd.DataFrame({"words": length, "hash": run_hashes(words, begin, length)})
    numbers = keys.groupby(["words", "hash"], sort=False).ngroup().to_numpy(np.int64)
    _, first = np.unique(numbers, return_index=True)
    if not same_runs(words, begin, begin[first[numbers]], length).all():
        raise UserError(
            "two n-grams of the benchmarks have one hash, which does not happen by chance: find "
            "the item that was made for it, or take other `words` for the n-gram rule"
        )
    return numbers
