"""Decide which documents of a shard stay, and why each other one goes.

It is attributes that are read; of text, only what edits may have emptied. Every dropped document
has the first reason that applies, in this order: duplicates, contamination, language, bounds (see
`rulesets`), emptiness after edits, sample. What stays is read as often in an epoch as targeted
sampling says (see `sampling`), and with the edits that go with it (see `editing`).
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.attributes import CONTAMINATED, LANGUAGE, WORDS
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.select import SelectDomain
from scripts.common.errors import UserError
from scripts.common.keyed_hash import keyed_hash
from scripts.select import editing, sampling
from scripts.select.inputs import Inputs, read_aligned
from scripts.select.rulesets import Interval, bounds

log = logging.getLogger(__name__)

DUPLICATE_REASONS = {
    "exact": "exact_duplicate",
    "fuzzy": "fuzzy_duplicate",
    "semantic": "semantic_duplicate",
    "heldout": "heldout_duplicate",
}
# A rule that fails every one of so many documents is a fault of the configuration.
_MIN_DOCUMENTS_TO_JUDGE_A_RULE = 100

_SAMPLE = "sample"

Mask = NDArray[np.bool_]
Attributes = Mapping[str, pa.ChunkedArray]


class Settings(SelectDomain):
    """A domain's settings, and whether repeated lines are cut."""

    cut_lines: bool


@dataclass(frozen=True)
class Rule:
    """A reason for dropping documents, and the documents that it would drop."""

    reason: str
    fails: Mask  # bool [documents]


def build(draft: Draft, inputs: Inputs) -> None:
    """Write `selection.parquet`; raises UserError for a bound or language that no document meets.

    Counts are those of documents kept and, by reason, dropped; of reads in an epoch, what each
    entry of targeted sampling did, and of edits of documents kept.
    """
    ids = inputs.ids()
    attributes = inputs.attributes(ids)
    edits = editing.find(inputs, ids, attributes)
    reasons = np.full(len(ids), None, dtype=object)
    kept = np.ones(len(ids), dtype=np.bool_)
    dropped = {}
    emptied = Rule("empty_after_edits", editing.emptied(inputs, edits, len(ids)))
    for rule in _rules(inputs, ids, attributes, emptied):
        newly = rule.fails & kept
        reasons[newly] = rule.reason
        kept &= ~rule.fails
        dropped[rule.reason] = int(newly.sum())
    of_entry, reads = _targeted(inputs, ids, attributes)
    told = sampling.counts(inputs.settings.sampling, of_entry, kept, reads)
    left_out = kept & (reads == 0)
    reasons[left_out] = _SAMPLE
    dropped[_SAMPLE] += int(left_out.sum())
    kept &= ~left_out
    repeats = np.where(kept, reads, 0).astype(np.int32)
    edits = edits[kept[edits.rows]]
    table = pa.table(
        {
            "id": ids,
            "kept": kept,
            "reason": reasons,
            "repeats": repeats,
            "edits": edits.column(len(ids)),
        },
        schema=tables.SELECTION,
    )
    tables.write(table, draft.path("selection.parquet"))
    draft.counts = {
        "documents": len(ids),
        "dropped": dropped,
        "edits": editing.counts(edits),
        "kept": int(kept.sum()),
        "reads": int(repeats.sum()),
        "sampling": told,
    }


def _targeted(
    inputs: Inputs, ids: NDArray[np.int64], attributes: Attributes
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the entry of targeted sampling that each document meets, and how often it is read."""
    rules = inputs.settings.sampling
    # What no entry asks for is not read.
    languages = _values(attributes, LANGUAGE, np.full(len(ids), None, dtype=object))
    words = _values(attributes, WORDS, np.zeros(len(ids)))
    of_entry = sampling.rule_of(rules, languages, words)
    return of_entry, sampling.repeats(rules, of_entry, ids)


def _values(attributes: Attributes, name: str, otherwise: NDArray[Any]) -> NDArray[Any]:
    return attributes[name].to_numpy() if name in attributes else otherwise


def _rules(
    inputs: Inputs, ids: NDArray[np.int64], attributes: Attributes, emptied: Rule
) -> Iterator[Rule]:
    """Yield the rules that apply, in the order of judgement."""
    yield from _duplicates(inputs, ids)
    path = Artifact.load(inputs.contamination).member("attributes.parquet")
    hits = read_aligned(path, [CONTAMINATED], ids).column(CONTAMINATED).to_numpy()
    yield Rule("contaminated", hits > 0)
    if inputs.settings.languages:
        languages = attributes[LANGUAGE].to_numpy()
        rule = Rule(LANGUAGE, ~np.isin(languages, inputs.settings.languages))
        yield _checked(rule, inputs, f"languages {inputs.settings.languages}")
    for name, interval in bounds(inputs.settings).items():
        rule = Rule(name, ~_inside(attributes[name].to_numpy(), interval))
        yield _checked(rule, inputs, f"the bound {list(interval)} on {name}")
    yield emptied
    yield Rule(_SAMPLE, sampled_out(ids, inputs.settings.sample))


def _duplicates(inputs: Inputs, ids: NDArray[np.int64]) -> Iterator[Rule]:
    kinds = inputs.of_shard(inputs.duplicates, ["kind"], ids)["kind"].to_numpy()
    for kind, reason in DUPLICATE_REASONS.items():
        yield Rule(reason, kinds == kind)


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
    settings = parse_settings(Settings, given.settings)
    inputs = Inputs(given.source, given.shard, settings, settings.cut_lines)
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
    if counts["edits"]["by_kind"]:
        log.info("%s: edits: %s", place, counts["edits"])
    for entry in counts["sampling"]:
        log.info("%s: sampling at rate %g: %s", place, entry["rate"], entry)
    if counts["documents"] and not counts["kept"]:
        log.warning("%s: nothing is kept, so no phase will see this shard", place)


if __name__ == "__main__":
    run(main)
