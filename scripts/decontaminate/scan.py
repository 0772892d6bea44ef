"""Look for evaluation items in a shard's documents, by every rule.

Rules of one kind look at the same documents, cheap kinds first: n-grams at all, what is left at the
hybrid's, what is left then at the embeddings'. A document that a cheaper rule found is not looked
at again: it is dropped anyway.

``attributes.parquet`` is row-aligned with the documents: ``id`` and ``contaminated``, the number of
items that the document holds by any rule. ``hits.parquet`` has a row for each document, item and
rule: ``score``, what the rule goes by; ``ngrams``, how many distinct ones are shared, where the
rule counts them; ``start`` and ``end``, the characters of the document that are most alike, and
their ``excerpt``. ``grams.parquet`` says in how many ``documents`` each n-gram of the index is, and
in how many that are not contaminated (``remaining``). Each rule must also find the canary.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.config.decontaminate import AnyRule
from scripts.common.texts import Texts
from scripts.decontaminate.hashed_words import HashedWords, chunks, hash_words
from scripts.decontaminate.matching import Matches
from scripts.decontaminate.rules import Rules
from scripts.decontaminate.spans import Spans

log = logging.getLogger(__name__)

ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("contaminated", pa.int32(), nullable=False),
    ]
)
HITS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("ngrams", pa.int32()),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
GRAMS = pa.schema(
    [
        pa.field("gram", pa.int32(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("remaining", pa.int64(), nullable=False),
    ]
)

_EXCERPT_CHARACTERS = 200
_SCORE_DIGITS = 4


class Settings(Model):
    rules: list[AnyRule]


class Scan:
    """What is found in one shard, batch by batch."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._benchmarks = rules.items.benchmarks
        self._names = rules.items.table.column("item").to_pylist()
        self._least = {matcher.rule.name: matcher.least() for matcher in rules.matchers}
        self._documents = np.zeros(rules.grams.count, np.int64)
        self._remaining = np.zeros(rules.grams.count, np.int64)
        self._hits = [HITS.empty_table()]

    def add(self, ids: NDArray[np.int64], texts: Texts) -> NDArray[np.int32]:
        """Look at documents; return how many items each holds."""
        words = hash_words(texts)
        left, part, part_words = np.arange(len(texts)), texts, words
        items = len(self._names)
        pairs = [np.empty(0, np.int64)]  # documents and their items
        for level in self._rules.levels():
            if len(left) < len(part):
                part = _some(texts, left)
                part_words = hash_words(part)
            for matcher in level:
                matches = matcher.match(part_words, self._least[matcher.rule.name])
                self._tell(matcher.rule.name, matches, Spans(part, part_words), ids[left])
                pairs.append(left[matches.document] * items + matches.item)
            held = np.bincount(np.unique(np.concatenate(pairs)) // items, minlength=len(texts))
            left = np.flatnonzero(held == 0)
        self._count_grams(words, left)
        return held.astype(np.int32)

    def _tell(self, rule: str, matches: Matches, spans: Spans, ids: NDArray[np.int64]) -> None:
        places = zip(matches.document, matches.begin, matches.end, strict=True)
        told = [spans.characters(*map(int, place)) for place in places]
        items = matches.item.tolist()
        columns = [
            ids[matches.document],
            [self._benchmarks[item] for item in items],
            [self._names[item] for item in items],
            [rule] * len(items),
            np.round(matches.score, _SCORE_DIGITS),
            pa.array(matches.ngrams.astype(np.int32), mask=matches.ngrams < 0),
            [start for start, _, _ in told],
            [end for _, end, _ in told],
            [text[:_EXCERPT_CHARACTERS] for _, _, text in told],
        ]
        self._hits.append(pa.table(columns, schema=HITS))

    def _count_grams(self, words: HashedWords, remaining: NDArray[np.int64]) -> None:
        found = self._rules.grams.find(words)
        grams_known = len(self._documents)
        pairs = np.sort(words.document_of(found.word) * grams_known + found.gram)
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]  # np.unique is slower
        documents, grams = np.divmod(pairs, max(grams_known, 1))
        stay = np.isin(documents, remaining)
        np.add.at(self._documents, grams, 1)
        np.add.at(self._remaining, grams[stay], 1)

    def hits(self) -> pa.Table:
        return pa.concat_tables(self._hits)

    def grams(self) -> pa.Table:
        seen = np.flatnonzero(self._documents)
        columns = [seen.astype(np.int32), self._documents[seen], self._remaining[seen]]
        return pa.table(columns, schema=GRAMS)

    def effort(self) -> dict[str, dict[str, int]]:
        return {one.rule.name: asdict(one.effort) for one in self._rules.matchers}


def build(draft: Draft, documents: Artifact, index: Artifact, settings: Settings) -> None:
    """Write the members of one shard; raises UserError if a rule does not find the canary."""
    rules = Rules(index, settings.rules)
    rules.check_canary()
    scan = Scan(rules)
    attributes = [ATTRIBUTES.empty_table()]
    for batch in tables.batches(documents.member("documents.parquet"), ["id", "text"]):
        ids = batch.column("id").to_numpy()
        parts = _parts(Texts.of_column(batch.column("text")))
        held = np.concatenate([scan.add(ids[part], some) for part, some in parts])
        attributes.append(pa.table([ids, held], schema=ATTRIBUTES))
    by_document, hits = pa.concat_tables(attributes), scan.hits()
    tables.write(by_document, draft.path("attributes.parquet"))
    tables.write(hits, draft.path("hits.parquet"))
    tables.write(scan.grams(), draft.path("grams.parquet"))
    draft.counts["documents"] = by_document.num_rows
    draft.counts["contaminated"] = pc.sum(pc.greater(by_document["contaminated"], 0)).as_py() or 0
    draft.counts["documents_by_benchmark"] = _documents_by_benchmark(hits)
    draft.counts["rules"] = scan.effort()


def _parts(texts: Texts) -> Iterator[tuple[slice, Texts]]:
    for first, some in chunks(texts):
        yield slice(first, first + len(some)), some


def _some(texts: Texts, documents: NDArray[np.int64]) -> Texts:
    return Texts.of_bytes([texts.encoded(document) for document in documents.tolist()])


def _documents_by_benchmark(hits: pa.Table) -> dict[str, int]:
    documents = hits.group_by("benchmark").aggregate([("id", "count_distinct")])
    return {row["benchmark"]: row["id_count_distinct"] for row in documents.to_pylist()}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    options = arguments.parse_args()
    settings = parse_settings(Settings, options.settings)
    documents = layout.documents(options.source, options.shard)
    index = layout.contamination_index()
    artifact = make(
        lambda draft: build(draft, Artifact.load(documents), Artifact.load(index), settings),
        output=layout.attributes(options.source, "contamination", options.shard),
        module="scripts.decontaminate.scan",
        settings=settings.model_dump(mode="json"),
        inputs=[documents, index],
    )
    log.info(
        "%s/%s: %s documents, %s contaminated; the canary was found",
        *(options.source, options.shard),
        *(f"{artifact.counts[key]:,}" for key in ("documents", "contaminated")),
    )


if __name__ == "__main__":
    run(main)
