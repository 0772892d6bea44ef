"""Index the n-grams of every item of every lm-eval task, and a canary's.

The member ``grams.parquet`` has a row for each gram of each item, sorted: ``words``, ``hash``,
``task``, ``item``. An item of fewer than n words is one gram, its whole word sequence, if it has at
least five words; ``counts`` says how many items of each task are too short to look for.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.common.words import ngrams, split_words
from scripts.decontaminate.grams import CANARY, GRAMS, MIN_WORDS, canary_item

log = logging.getLogger(__name__)


class Settings(Model):
    ngram_words: Annotated[int, Field(ge=MIN_WORDS)]
    tasks: list[Name]


def read_items(path: Path) -> dict[str, str]:
    """Return the text to look for by item, from a task's ``items.jsonl``.

    Raises UserError naming the line that is no item or repeats one.
    """
    items: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line:
            place = f"{path}:{number}"
            item, text = _parse_item(line, place)
            if item in items:
                raise UserError(f"{place}: item {item!r} is there twice: give it its own id")
            items[item] = text
    return items


def item_grams(task: str, items: Mapping[str, str], ngram_words: int) -> pa.Table:
    """Return the distinct grams of a task's items, with the columns of GRAMS."""
    words = split_words(list(items.values()))
    grams = ngrams(words, ngram_words, short_whole=True)
    lengths = np.minimum(words.counts, ngram_words)
    names = pa.array(items, pa.string())
    of_item = np.repeat(np.arange(len(items)), np.diff(grams.offsets))
    long_enough = lengths[of_item] >= MIN_WORDS
    of_item, hashes = of_item[long_enough], grams.hashes[long_enough]
    columns = [
        pa.array(lengths[of_item].astype(np.int32)),
        pa.array(hashes),
        pa.array([task] * len(hashes), pa.string()),
        names.take(pa.array(of_item)),
    ]
    table = pa.table(columns, schema=GRAMS)
    return table.group_by(GRAMS.names, use_threads=False).aggregate([]).cast(GRAMS)


def build(draft: Draft, tasks: Mapping[str, Artifact], settings: Settings) -> None:
    """Write ``grams.parquet``. Raises UserError for a task that takes the canary's name."""
    if CANARY in tasks:
        raise UserError(f"evaluate.tasks.{CANARY}: the canary's own name; choose another")
    found = [item_grams(CANARY, {CANARY: canary_item(settings.ngram_words)}, settings.ngram_words)]
    for task, artifact in sorted(tasks.items()):
        items = read_items(artifact.member("items.jsonl"))
        grams = item_grams(task, items, settings.ngram_words)
        indexed = len(grams.column("item").unique())
        draft.counts[task] = {
            "items": len(items),
            "grams": grams.num_rows,
            "too_short": len(items) - indexed,
        }
        found.append(grams)
    whole = pa.concat_tables(found).sort_by([(name, "ascending") for name in GRAMS.names])
    tables.write(whole, draft.path("grams.parquet"))


def _parse_item(line: str, place: str) -> tuple[str, str]:
    try:
        item: Any = json.loads(line)
        name, text = item["id"], item["text"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{place}: no item, `id` and `text` ({error!r}): make it again") from None
    if not (isinstance(name, str) and isinstance(text, str)):
        raise UserError(f"{place}: `id` and `text` must be strings: make it again")
    return name, text


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    inputs = {task: layout.task_items(task) for task in settings.tasks}
    artifact = make(
        lambda draft: build(
            draft, {task: Artifact.load(path) for task, path in inputs.items()}, settings
        ),
        output=layout.contamination_index(),
        module="scripts.decontaminate.index",
        settings=settings.model_dump(mode="json"),
        inputs=inputs.values(),
    )
    for task, counts in artifact.counts.items():
        log.info(
            "%s: %s items, %s grams, %s items too short",
            *(task, *(f"{counts[key]:,}" for key in ("items", "grams", "too_short"))),
        )


if __name__ == "__main__":
    run(main)
