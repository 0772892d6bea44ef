"""Looking for the 13-grams of evaluation items, beside polars, a Python set and datatrove.

Items are passages of documents that are set apart; all others are looked through, as an Arrow
column by ours and as strings by the others. What ours, polars and the set flag is the same, which
is checked; datatrove has other words. Ours also tells which items were found, how much of them and
where. A peer that is not installed is left out. ``python -m tests.benchmarks.decontaminate``.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact, make
from scripts.common.config.decontaminate import PUBLISHED, AnyRule, HybridRule
from scripts.common.texts import Texts
from scripts.decontaminate import index
from scripts.decontaminate.hashed_words import chunks
from scripts.decontaminate.item import Item
from scripts.decontaminate.rules import Rules
from scripts.decontaminate.scan import Scan
from tests.benchmarks.corpus import prose_and_code, size, translations
from tests.benchmarks.timing import Row, seconds, table

_WORDS = 13
_APART_EVERY = 20  # documents: one is cut into items
_ITEM_CHARACTERS = 1000
_PEER_MEGABYTES = {"polars": 20.0, "a Python set": 15.0, "datatrove": 1.0}
_FACTOR = 0x9E3779B185EBCA87

Flags = NDArray[np.bool_]
Find = Callable[[Sequence[str]], Flags]


def rows(texts: list[str]) -> list[Row]:
    items, texts = _set_apart(texts)
    stage = f"{_WORDS}-gram decontamination"
    rules = _rules(items, [PUBLISHED["gpt3"]])
    print(f"{len(items):,} items, {rules.grams.count:,} n-grams")
    flags = _ours(rules, pa.array(texts, pa.large_string()))
    speed = _speed(rules, texts)
    result = []
    for name, make_peer, target in _PEERS:
        every = max(1, round(size(texts) / 1e6 / _PEER_MEGABYTES[name.split(",")[0]]))
        few = texts[::every]
        try:
            find = make_peer(items)
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        theirs = find(few)
        agreed = (theirs == flags[::every]).mean()
        print(f"{name}: {theirs.sum():,} of {len(few):,} documents, {agreed:.2%} as ours")
        assert agreed == 1 or name == "datatrove"
        taken = seconds(lambda find=find, few=few: find(few), runs=2)
        result.append(Row(stage, name, "MB", speed, size(few) / 1e6 / taken, target))
    return result


def own_speeds(texts: list[str]) -> str:
    """Return a table of what other rules take: several at once, and the hybrid."""
    items, texts = _set_apart(texts)
    lines = ["| rules | MB/s |", "|---|---|"]
    every = list(PUBLISHED.values())
    for rules in ([every[0]], every, [every[0], HybridRule(kind="hybrid")]):
        told = ", ".join(rule.name for rule in rules)
        lines.append(f"| {told} | {_speed(_rules(items, rules), texts):,.0f} |")
    return "\n".join(lines)


def _set_apart(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    apart = [text for number, text in enumerate(texts) if number % _APART_EVERY == 0]
    passages = [
        text[first : first + _ITEM_CHARACTERS]
        for text in apart
        # Not the first: notices that many documents begin with.
        for first in range(_ITEM_CHARACTERS, len(text), _ITEM_CHARACTERS)
    ]
    items = [text for text in passages if len(_words(text)) >= _WORDS]
    return items, [text for number, text in enumerate(texts) if number % _APART_EVERY]


def _rules(items: Sequence[str], rules: Sequence[AnyRule]) -> Rules:
    """Index the items, none of whose n-grams counts as a template."""
    settings = index.Settings(
        tasks=[],
        benchmarks={},
        ngram_words=sorted({rule.words for rule in rules if rule.kind == "ngram"}),
        template_items=len(items),
        encoders={},
    )
    named = [Item("benchmark", f"item-{number}", text) for number, text in enumerate(items)]
    with TemporaryDirectory() as folder:
        made: Artifact = make(
            lambda draft: index.build(draft, named, settings),
            output=Path(folder, "content.json"),
            module="scripts.decontaminate.index",
            settings={},
            inputs=[],
        )
        return Rules(made, rules)


def _speed(rules: Rules, texts: Sequence[str]) -> float:
    column = pa.array(texts, pa.large_string())
    return size(list(texts)) / 1e6 / seconds(lambda: _ours(rules, column))


def _ours(rules: Rules, column: pa.LargeStringArray) -> Flags:
    """Do what the program does with a shard, but for reading and writing it."""
    scan, found = Scan(rules), []
    for start in range(0, len(column), tables.ROW_GROUP_ROWS):
        texts = Texts.of_column(column.slice(start, tables.ROW_GROUP_ROWS))
        ids = np.arange(start, start + len(texts))
        found += [scan.add(ids[first : first + len(part)], part) for first, part in chunks(texts)]
    scan.hits()
    return np.concatenate(found) > 0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _python(items: Sequence[str]) -> Find:
    def grams(text: str) -> set[str]:
        words = _words(text)
        return {" ".join(words[i : i + _WORDS]) for i in range(len(words) - _WORDS + 1)}

    known = set[str]().union(*map(grams, items))
    return lambda texts: np.array([not known.isdisjoint(grams(text)) for text in texts])


def _polars(items: Sequence[str], *, hashed: bool) -> Find:
    """Join runs of words from shifted columns, or hash the words and combine the hashes."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    import polars

    shifted = [polars.col("word").shift(-place) for place in range(_WORDS)]
    run = polars.concat_str(shifted, separator=" ")
    if hashed:
        run = polars.lit(0, polars.UInt64)
        for word in shifted:
            run = run * _FACTOR + word.hash(seed=0)
    whole = polars.col("document") == polars.col("document").shift(1 - _WORDS)

    def grams(texts: Sequence[str]) -> Any:
        words = polars.col("text").str.to_lowercase().str.extract_all(r"\w+")
        frame = polars.DataFrame({"text": texts}).with_row_index("document")
        split = frame.select("document", word=words).explode("word")
        return split.select("document", gram=run, whole=whole).filter("whole")

    known = grams(items).select("gram").unique()

    def find(texts: Sequence[str]) -> Flags:
        flags = np.zeros(len(texts), np.bool_)
        for start in range(0, len(texts), tables.ROW_GROUP_ROWS):
            found = grams(texts[start : start + tables.ROW_GROUP_ROWS])
            documents = found.join(known, on="gram", how="semi")["document"].unique()
            flags[start + documents.to_numpy()] = True
        return flags

    return find


def _datatrove(items: Sequence[str]) -> Find:
    import importlib.metadata  # noqa: F401  datatrove looks into it without importing it

    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.utils.text import simplify_text

    with TemporaryDirectory() as folder:
        step = NGramsDecontFilter(folder, config=NGramsDecontConfig(n_grams=_WORDS))
        hashes = set()
        for item in items:
            words = step.tokenizer.word_tokenize(simplify_text(item, step.config.norm_config))
            for first in range(len(words) - _WORDS + 1):
                hashes.add(step.hash_func(" ".join(words[first : first + _WORDS])))
        array = np.array(sorted(hashes), dtype=step.config.hash_config.np_descr)
        array.tofile(Path(folder, "items.index.hashes"))
        step.filter(Document("", "0"))  # it reads its index when it is first used
    return lambda texts: np.array(
        [step.filter(Document(text, str(number))) is not True for number, text in enumerate(texts)]
    )


_PEERS: tuple[tuple[str, Callable[[Sequence[str]], Find], float], ...] = (
    ("polars, words joined", lambda items: _polars(items, hashed=False), 6),
    ("polars, hashes combined", lambda items: _polars(items, hashed=True), 1),
    ("a Python set", _python, 6),
    ("datatrove", _datatrove, 100),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=float, default=100)
    megabytes = options.parse_args().megabytes
    texts = prose_and_code(megabytes)
    print(f"{len(texts):,} documents, {size(texts) / 1e6:,.0f} MB")
    print(table(rows(texts)), end="\n\n")
    print(own_speeds(texts), end="\n\n")
    try:
        print(f"The same, many scripts:\n{table(rows(translations()))}")
    except ImportError as error:
        print(f"Translations are left out: {error}")


if __name__ == "__main__":
    main()
