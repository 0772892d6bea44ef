"""Tell which evaluation items are in the documents: what all shards' scans found together.

``items.parquet`` has a row for each rule and item. For n-gram rules, ``score`` is that of all
documents at once: an item whose n-grams are spread over many of them was seen as well. For the
others, which compare places, it is that of the most similar place that a document was dropped for.
``flagged`` says that the score reaches the rule's threshold, ``documents`` how many documents do so
alone. ``remaining_score`` and ``remains`` are the same of the documents that stay when those are
dropped. An item that is not ``findable``, being too short or made of templates, is neither clean
nor contaminated.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.decontaminate import AnyRule
from scripts.decontaminate import canary
from scripts.decontaminate.grams import MIN_WORDS
from scripts.decontaminate.items import Items
from scripts.decontaminate.ngram_rule import NgramMatcher
from scripts.decontaminate.rules import Rules

log = logging.getLogger(__name__)

FLAGGED = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("findable", pa.bool_(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("remaining_score", pa.float64(), nullable=False),
        pa.field("remains", pa.bool_(), nullable=False),
    ]
)
_HIT = ["benchmark", "item", "rule", "score"]
_SCORE_DIGITS = 4


class Settings(Model):
    rules: list[AnyRule]
    shards: dict[Name, int]

    def scans(self) -> list[Path]:
        return [
            layout.attributes(source, "contamination", shard)
            for source in sorted(self.shards)
            for shard in range(self.shards[source])
        ]


def build(draft: Draft, index: Artifact, scans: Sequence[Artifact], settings: Settings) -> None:
    """Write ``items.parquet``; counts of flagged items are by rule and benchmark."""
    ngram_rules = [rule for rule in settings.rules if rule.kind == "ngram"]
    rules = Rules(index, ngram_rules)
    seen = np.zeros((2, rules.grams.count), np.bool_)  # in any document, in a remaining one
    read = [pd.DataFrame(columns=_HIT)]
    for scan in scans:
        grams = tables.read(scan.member("grams.parquet"))
        number = grams.column("gram").to_numpy()
        seen[0, number] = True
        seen[1, number[grams.column("remaining").to_numpy() > 0]] = True
        read.append(tables.read(scan.member("hits.parquet"), _HIT).to_pandas())
    hits = pd.concat([one for one in read if len(one)] or read)
    by_ngrams = {one.rule.name: one for one in rules.matchers if isinstance(one, NgramMatcher)}
    told = []
    for rule in settings.rules:
        rows = _rows(rules.items, hits[hits["rule"] == rule.name])
        if rule.name in by_ngrams:
            _tell_ngrams(rows, by_ngrams[rule.name], seen)
        rows["rule"] = rule.name
        told.append(rows[rows["benchmark"] != canary.CANARY])
    table = pd.concat(told)
    columns = [pa.array(table[field.name].to_numpy(), field.type) for field in FLAGGED]
    tables.write(pa.table(columns, schema=FLAGGED), draft.path("items.parquet"))
    draft.counts = _counts(table)


def _rows(items: Items, hits: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each item, as rules tell that compare places."""
    rows = items.table.select(["benchmark", "item", "words"]).to_pandas()
    found = hits.groupby(["benchmark", "item"])["score"].agg(["max", "size"])
    found = found.reindex(pd.MultiIndex.from_frame(rows[["benchmark", "item"]]))
    rows["findable"] = rows["words"] >= MIN_WORDS
    rows["score"] = found["max"].fillna(0.0).to_numpy(float)
    rows["documents"] = found["size"].fillna(0).to_numpy(int)
    rows["flagged"] = rows["documents"] > 0
    return rows.assign(remaining_score=0.0, remains=False)


def _tell_ngrams(rows: pd.DataFrame, matcher: NgramMatcher, seen: NDArray[np.bool_]) -> None:
    rows["findable"] = matcher.findable
    for (score, flag), grams in zip(
        (("score", "flagged"), ("remaining_score", "remains")), seen, strict=True
    ):
        scores = matcher.item_scores(np.flatnonzero(grams))
        rows[score] = np.round(scores, _SCORE_DIGITS)
        rows[flag] = scores >= matcher.least()


def _counts(table: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (rule, benchmark), rows in table.groupby(["rule", "benchmark"]):
        counts.setdefault(rule, {})[benchmark] = {
            "items": len(rows),
            **{name: int(rows[name].sum()) for name in ("findable", "flagged", "remains")},
        }
    return counts


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    index, scans = layout.contamination_index(), settings.scans()
    artifact = make(
        lambda draft: build(draft, Artifact.load(index), list(map(Artifact.load, scans)), settings),
        output=layout.contamination_items(),
        module="scripts.decontaminate.flagged",
        settings=settings.model_dump(mode="json"),
        inputs=[index, *scans],
    )
    for rule, benchmarks in artifact.counts.items():
        for name, counts in benchmarks.items():
            log.info(
                "%s, %s: %s of %s items flagged", rule, name, counts["flagged"], counts["items"]
            )


if __name__ == "__main__":
    run(main)
