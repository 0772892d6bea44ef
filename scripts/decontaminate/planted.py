"""Measure the rules: on copies of items planted in documents, and on texts that hold no item.

A sample of items is copied in several ways (see ``copies``), each copy into the middle of a sampled
document. ``recall.parquet`` has a row for each rule, kind of copy and threshold: how many
``copies`` there were, and in how many the item was ``found``. ``false_positives.parquet`` has one
for each rule, set of negatives and threshold: in how many ``texts`` any item was ``found``. Sets
are the corpus's own documents, where what is found may well be true, and the user's ``negatives``.
A null ``threshold`` stands for the rule as it is configured; of a rule that goes by a single
n-gram, the others are shares of the n-grams. A rule that misses a verbatim copy is an error.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.collect.files import identities
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.canonical import sha256_text
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.decontaminate import AnyRule, Planted
from scripts.common.errors import UserError
from scripts.common.keyed_hash import keyed_hash
from scripts.common.texts import Texts
from scripts.decontaminate import canary
from scripts.decontaminate.benchmarks import files_of, read_benchmark
from scripts.decontaminate.copies import KINDS
from scripts.decontaminate.grams import MIN_WORDS
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.matching import Matcher, Matches
from scripts.decontaminate.ngram_rule import NgramMatcher
from scripts.decontaminate.rules import Rules

log = logging.getLogger(__name__)

RECALL = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("threshold", pa.float64()),
        pa.field("copies", pa.int64(), nullable=False),
        pa.field("found", pa.int64(), nullable=False),
    ]
)
FALSE_POSITIVES = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("negatives", pa.string(), nullable=False),
        pa.field("threshold", pa.float64()),
        pa.field("texts", pa.int64(), nullable=False),
        pa.field("found", pa.int64(), nullable=False),
    ]
)
CORPUS = "corpus"
THRESHOLDS = [round(0.05 * step, 2) for step in range(4, 21)]

_AROUND = 1000  # characters of a document before and behind a copy
_MOST_CHARACTERS = 20_000  # of a document that is looked at

Row = dict[str, Any]
Bools = NDArray[np.bool_]


class Settings(Model):
    rules: list[AnyRule]
    planted: Planted
    shards: dict[Name, int]

    def documents(self) -> list[Path]:
        return [
            layout.documents(source, shard)
            for source in sorted(self.shards)
            for shard in range(self.shards[source])
        ]


@dataclass(frozen=True)
class Copies:
    """Documents with a copy each: of which item, and of which kind."""

    texts: Texts
    items: NDArray[np.int64]
    kinds: Sequence[str]


def build(draft: Draft, index: Artifact, documents: Sequence[Artifact], settings: Settings) -> None:
    """Write the members; counts are rates by rule, as it is configured."""
    rules = Rules(index, settings.rules)
    rules.check_canary()
    negatives = {CORPUS: _sampled(documents, settings.planted)}
    negatives |= _user_negatives(settings.planted)
    copies = planted(rules, _clean(rules, negatives[CORPUS]), settings.planted)
    recall: list[Row] = []
    false_positives: list[Row] = []
    for matcher in rules.matchers:
        name = matcher.rule.name
        found = _found(matcher, copies)
        _check_verbatim(matcher, copies, found[None])
        recall += [{"rule": name, **row} for row in _recall(copies, found)]
        for kind, texts in negatives.items():
            for threshold, hit in _hit(matcher, texts).items():
                row = {"negatives": kind, "threshold": threshold, "texts": len(texts)}
                false_positives.append({"rule": name, **row, "found": int(hit.sum())})
    tables.write(pa.Table.from_pylist(recall, RECALL), draft.path("recall.parquet"))
    table = pa.Table.from_pylist(false_positives, FALSE_POSITIVES)
    tables.write(table, draft.path("false_positives.parquet"))
    draft.counts = {
        "items": len(np.unique(copies.items)),
        "recall": _rates(recall, "kind", "copies"),
        "false_positives": _rates(false_positives, "negatives", "texts"),
    }


def planted(rules: Rules, documents: Sequence[str], settings: Planted) -> Copies:
    """Return copies of sampled items, those left out that a change leaves as they are."""
    table = rules.items.table
    strings: list[str] = table.column("text").to_pylist()
    texts: list[str] = []
    items: list[int] = []
    kinds: list[str] = []
    for item in _sampled_items(rules, settings):
        for kind, change in KINDS.items():
            copy = change(strings[item])
            if copy != strings[item] or kind == "verbatim":
                around = documents[len(texts) % len(documents)] if documents else ""
                texts.append(_embedded(copy, around))
                items.append(item)
                kinds.append(kind)
    return Copies(Texts.of_strings(texts), np.array(items, np.int64), kinds)


def _sampled_items(rules: Rules, settings: Planted) -> list[int]:
    """Return items by the hash of their names; those too short for any rule are left out."""
    items = rules.items
    names = items.table.column("item").to_pylist()
    known = [
        (sha256_text(f"{settings.seed} {benchmark} {name}"), number)
        for number, (benchmark, name, words) in enumerate(
            zip(items.benchmarks, names, items.words.counts, strict=True)
        )
        if benchmark != canary.CANARY and words >= MIN_WORDS
    ]
    return sorted(number for _, number in sorted(known)[: settings.items])


def _embedded(copy: str, document: str) -> str:
    """Put a copy between two words in the middle of a document."""
    middle = document.find(" ", len(document) // 2)
    middle = len(document) // 2 if middle < 0 else middle
    before = document[max(0, middle - _AROUND) : middle]
    return f"{before}\n\n{copy}\n\n{document[middle:][:_AROUND]}"


def _sampled(documents: Sequence[Artifact], settings: Planted) -> list[str]:
    """Return documents of the least hashes, whatever the shards."""
    ids, places = [np.empty(0, np.int64)], list[tuple[int, int]]()  # places: artifact and row
    for number, artifact in enumerate(documents):
        own = tables.read(artifact.member("documents.parquet"), ["id"]).column("id").to_numpy()
        least = _least(own, settings)
        ids.append(own[least])
        places += [(number, row) for row in least.tolist()]
    chosen = [places[place] for place in _least(np.concatenate(ids), settings).tolist()]
    texts: dict[tuple[int, int], str] = {}
    for number, artifact in enumerate(documents):
        rows = sorted(row for one, row in chosen if one == number)
        taken = tables.take(artifact.member("documents.parquet"), ["text"], rows)["text"]
        for row, text in zip(rows, taken.to_pylist(), strict=True):
            texts[number, row] = text[:_MOST_CHARACTERS]
    return [texts[place] for place in chosen]


def _least(ids: NDArray[np.int64], settings: Planted) -> NDArray[np.int64]:
    hashes = keyed_hash(ids, f"decontaminate planted {settings.seed}")
    return np.argsort(hashes, kind="stable")[: settings.documents]


def _user_negatives(settings: Planted) -> dict[str, list[str]]:
    if CORPUS in settings.negatives:
        raise UserError(f"decontaminate.planted.negatives.{CORPUS}: choose another name")
    chosen = {}
    for name, benchmark in settings.negatives.items():
        hashed = [
            (sha256_text(f"{settings.seed} {item.name}"), item.text)
            for item in read_benchmark(name, benchmark)
        ]
        chosen[name] = [text for _, text in sorted(hashed)[: settings.documents]]
    return chosen


def _clean(rules: Rules, texts: Sequence[str]) -> list[str]:
    """Return the texts that no rule finds an item in."""
    dirty = np.zeros(len(texts), np.bool_)
    words = hash_words(Texts.of_strings(texts))
    for matcher in rules.matchers:
        dirty[matcher.match(words, matcher.least()).document] = True
    return [text for text, bad in zip(texts, dirty, strict=True) if not bad]


def _found(matcher: Matcher, copies: Copies) -> dict[float | None, Bools]:
    """Tell by threshold which copies' items are found, each in its own document."""
    found = {}
    for threshold, matches in _by_threshold(matcher, copies.texts):
        own = matches.item == copies.items[matches.document]
        found[threshold] = np.isin(np.arange(len(copies.items)), matches.document[own])
    return found


def _hit(matcher: Matcher, texts: Sequence[str]) -> dict[float | None, Bools]:
    """Tell by threshold in which texts anything is found."""
    return {
        threshold: np.isin(np.arange(len(texts)), matches.document)
        for threshold, matches in _by_threshold(matcher, Texts.of_strings(texts))
    }


def _by_threshold(matcher: Matcher, texts: Texts) -> Iterator[tuple[float | None, Matches]]:
    """Yield the matches at each threshold, found in one pass at the lowest."""
    own = matcher.least()
    every = matcher.match(hash_words(texts), np.minimum(own, matcher.least(THRESHOLDS[0])))
    yield None, every.where(every.score >= own[every.item])
    for threshold in THRESHOLDS:
        yield threshold, every.where(every.score >= matcher.least(threshold)[every.item])


def _check_verbatim(matcher: Matcher, copies: Copies, found: Bools) -> None:
    """Raise UserError if a rule misses a verbatim copy of an item that it can find at all.

    Windows at fixed places need not fit an item: of a rule that goes by them, one is enough.
    """
    wanted = np.array([kind == "verbatim" for kind in copies.kinds], np.bool_)
    if isinstance(matcher, NgramMatcher):
        wanted &= matcher.findable[copies.items]
    missed = np.flatnonzero(wanted & ~found)
    rule = matcher.rule
    enough = (wanted & found).any() if rule.kind == "embedding" and rule.windows == "all" else False
    if len(missed) and not enough:
        raise UserError(
            f"rule {rule.name!r} misses {len(missed)} of {int(wanted.sum())} verbatim copies of "
            f"items, the first of them item number {copies.items[missed[0]]} of the index: lower "
            "its `threshold`, or report it if that is below 1"
        )


def _recall(copies: Copies, found: Mapping[float | None, Bools]) -> Iterator[Row]:
    kinds = np.array(copies.kinds, object)
    for kind in KINDS:
        for threshold, hit in found.items():
            number = int((kinds == kind).sum())
            row = {"kind": kind, "threshold": threshold, "copies": number}
            yield {**row, "found": int(hit[kinds == kind].sum())}


def _rates(rows: Sequence[Row], kind: str, number: str) -> dict[str, dict[str, float | None]]:
    """Return the share found by rule and kind, of rules as they are configured."""
    rates: dict[str, dict[str, float | None]] = {}
    for row in rows:
        if row["threshold"] is None:
            share = round(row["found"] / row[number], 4) if row[number] else None
            rates.setdefault(row["rule"], {})[row[kind]] = share
    return rates


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    index, documents = layout.contamination_index(), settings.documents()
    negatives = [
        file for name, one in settings.planted.negatives.items() for file in files_of(name, one)
    ]
    artifact = make(
        lambda draft: build(
            draft, Artifact.load(index), [Artifact.load(one) for one in documents], settings
        ),
        output=layout.contamination_planted(),
        module="scripts.decontaminate.planted",
        settings={
            "files": identities(sorted(set(negatives))),
            **settings.model_dump(mode="json"),
        },
        inputs=[index, *documents],
    )
    for measure in ("recall", "false_positives"):
        for rule, rates in artifact.counts[measure].items():
            told = ", ".join(f"{kind} {rate}" for kind, rate in rates.items())
            log.info("%s, %s: %s", rule, measure.replace("_", " "), told)


if __name__ == "__main__":
    run(main)
