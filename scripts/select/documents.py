"""Decide which documents of a shard stay, and why each other one goes.

Only attributes are read, no text. Every dropped document has the first reason that applies, in
this order: duplicates, contamination, language, bounds (see `rulesets`), sample.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.attributes import (
    BOUNDABLE,
    CONTAMINATED,
    CONTAMINATION,
    HEURISTICS,
    LANGUAGE,
)
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.select import SelectDomain
from scripts.common.errors import UserError
from scripts.common.keyed_hash import keyed_hash
from scripts.select.rulesets import Interval, bounds

log = logging.getLogger(__name__)

DUPLICATE_REASONS = {
    "exact": "exact_duplicate",
    "fuzzy": "fuzzy_duplicate",
    "heldout": "heldout_duplicate",
}
# A rule that fails every one of so many documents is a fault of the configuration.
_MIN_DOCUMENTS_TO_JUDGE_A_RULE = 100

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Inputs:
    """The artifacts on which a shard's selection rests: paths of their content records."""

    source: str
    shard: int
    settings: SelectDomain

    @property
    def documents(self) -> Path:
        return layout.documents(self.source, self.shard)

    @property
    def duplicates(self) -> Path:
        return layout.duplicates()

    @property
    def contamination(self) -> Path:
        return layout.attributes(self.source, CONTAMINATION, self.shard)

    def attribute(self, name: str) -> Path:
        """Return the artifact that has the column ``name``: a rater's is called like it."""
        artifact = HEURISTICS if name in (*BOUNDABLE, LANGUAGE) else name
        return layout.attributes(self.source, artifact, self.shard)

    def paths(self) -> list[Path]:
        attributes = {self.attribute(name) for name in (LANGUAGE, *bounds(self.settings))}
        return [self.documents, self.duplicates, self.contamination, *sorted(attributes)]


@dataclass(frozen=True)
class Rule:
    """A reason for dropping documents, and the documents that it would drop."""

    reason: str
    fails: Mask  # bool [documents]


def build(draft: Draft, inputs: Inputs) -> None:
    """Write `selection.parquet`; raises UserError for a bound or language that no document meets.

    Counts are those of documents kept and, by reason, dropped.
    """
    path = Artifact.load(inputs.documents).member("documents.parquet")
    ids = tables.read(path, ["id"]).column("id").to_numpy()
    reasons = np.full(len(ids), None, dtype=object)
    kept = np.ones(len(ids), dtype=np.bool_)
    dropped = {}
    for rule in _rules(inputs, ids):
        newly = rule.fails & kept
        reasons[newly] = rule.reason
        kept &= ~rule.fails
        dropped[rule.reason] = int(newly.sum())
    table = pa.table({"id": ids, "kept": kept, "reason": reasons}, schema=tables.SELECTION)
    tables.write(table, draft.path("selection.parquet"))
    draft.counts = {"documents": len(ids), "dropped": dropped, "kept": int(kept.sum())}


def _rules(inputs: Inputs, ids: NDArray[np.int64]) -> Iterator[Rule]:
    """Yield the rules that apply, in the order of judgement."""
    yield from _duplicates(inputs, ids)
    hits = _column(inputs.contamination, CONTAMINATED, ids)
    yield Rule("contaminated", hits > 0)
    if inputs.settings.languages:
        languages = _column(inputs.attribute(LANGUAGE), LANGUAGE, ids)
        rule = Rule(LANGUAGE, ~np.isin(languages, inputs.settings.languages))
        yield _checked(rule, inputs, f"languages {inputs.settings.languages}")
    for name, interval in bounds(inputs.settings).items():
        rule = Rule(name, ~_inside(_column(inputs.attribute(name), name, ids), interval))
        yield _checked(rule, inputs, f"the bound {list(interval)} on {name}")
    yield Rule("sample", sampled_out(ids, inputs.settings.sample))


def _duplicates(inputs: Inputs, ids: NDArray[np.int64]) -> Iterator[Rule]:
    path = Artifact.load(inputs.duplicates).member(f"{inputs.source}.parquet")
    table = tables.read(path, ["id", "kind"], filters=[("shard", "=", inputs.shard)])
    tables.check_aligned(table, ids.tolist(), path)
    kinds = table.column("kind").to_numpy()
    for kind, reason in DUPLICATE_REASONS.items():
        yield Rule(reason, kinds == kind)


def _column(content: Path, name: str, ids: NDArray[np.int64]) -> NDArray:
    """Return an attribute of the shard's documents; raises UserError if there is none for each."""
    path = Artifact.load(content).member("attributes.parquet")
    table = tables.read(path)
    tables.check_aligned(table, ids.tolist(), path)
    return table.column(name).to_numpy()


def _inside(values: NDArray[np.float64], interval: Interval) -> Mask:
    """Return which values lie in a closed interval; NaN lies in none."""
    low, high = interval
    inside = ~np.isnan(values)
    if low is not None:
        inside &= values >= low
    if high is not None:
        inside &= values <= high
    return inside


def sampled_out(ids: NDArray[np.int64], fraction: float) -> Mask:
    """Return which documents a sample of ``fraction`` leaves out, each by its id alone.

    A larger fraction keeps all that a smaller one does.
    """
    if fraction == 1:
        return np.zeros(len(ids), dtype=np.bool_)
    return keyed_hash(ids, "select") >= np.uint64(int(fraction * 2.0**64))


def _checked(rule: Rule, inputs: Inputs, what: str) -> Rule:
    if len(rule.fails) >= _MIN_DOCUMENTS_TO_JUDGE_A_RULE and rule.fails.all():
        raise UserError(
            f"{what} drops all {len(rule.fails):,} documents of {inputs.source}/{inputs.shard}: "
            f"loosen it in `select`, or give source {inputs.source} a domain of its own"
        )
    return rule


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True, type=int)
    given = arguments.parse_args()
    settings = parse_settings(SelectDomain, given.settings)
    inputs = Inputs(given.source, given.shard, settings)
    artifact = make(
        lambda draft: build(draft, inputs),
        output=layout.selection(given.source, given.shard),
        module="scripts.select.documents",
        settings=settings.model_dump(mode="json"),
        inputs=inputs.paths(),
    )
    report(f"{given.source}/{given.shard}", artifact.counts)


def report(place: str, counts: Mapping[str, Any]) -> None:
    reasons = {reason: count for reason, count in counts["dropped"].items() if count}
    log.info(
        "%s: %s of %s documents kept; dropped: %s",
        place,
        f"{counts['kept']:,}",
        f"{counts['documents']:,}",
        ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none",
    )
    if counts["documents"] and not counts["kept"]:
        log.warning("%s: nothing is kept, so no phase will see this shard", place)


if __name__ == "__main__":
    run(main)
