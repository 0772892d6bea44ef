"""Index the items of every benchmark: their texts, their n-grams, their embeddings, and a canary.

``items.parquet`` has a row for each item, by ``benchmark`` and ``item``: its ``text`` and how many
``words`` it has. Elsewhere an item is known by its row's number.

``grams.parquet`` has a row for each place of each n-gram: ``gram``, its number; ``ngram``, the n of
the rules that it serves; ``words``, how long it is; ``item`` and ``position``. An item of fewer
than n words is one n-gram, its whole word sequence, if it has at least five words. N-grams that
more than ``template_items`` items of a benchmark share are left out: they are its instructions or
its format, and no evidence that an item was seen.

``embeddings/{rule}.npy`` has a row for each item.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from scripts.collect.files import identities
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.decontaminate import Benchmark, Encoder
from scripts.common.errors import UserError
from scripts.decontaminate import canary
from scripts.decontaminate.benchmarks import files_of, read_benchmark, read_task
from scripts.decontaminate.grams import MIN_WORDS, gram_table
from scripts.decontaminate.item import Item
from scripts.decontaminate.items import Items

log = logging.getLogger(__name__)


class Settings(Model):
    """What is indexed, for rules with n-grams of these words and with these encoders."""

    tasks: list[Name]
    benchmarks: dict[Name, Benchmark]
    ngram_words: list[Annotated[int, Field(ge=MIN_WORDS)]]
    template_items: Annotated[int, Field(gt=0)]
    encoders: dict[Name, Encoder]


def build(draft: Draft, found: Iterable[Item], settings: Settings) -> None:
    """Write the members; counts are those of each benchmark, the canary left out."""
    items = Items.of(found)
    grams, templates = gram_table(
        items.words, items.benchmarks, settings.ngram_words, settings.template_items
    )
    tables.write(items.table, draft.path("items.parquet"))
    tables.write(grams, draft.path("grams.parquet"))
    for name, encoder in settings.encoders.items():
        from scripts.decontaminate.embedding import SentenceEncoder, window_text

        # From word to word, as places in documents are: a short item's last dot would tell.
        texts = window_text(items.words, items.words.first[:-1], items.words.first[1:])
        embeddings = SentenceEncoder(encoder).embed(texts)
        np.save(draft.path(f"embeddings/{name}.npy"), embeddings, allow_pickle=False)
    draft.counts = _counts(items, grams, templates, [*settings.tasks, *settings.benchmarks])


def _counts(
    items: Items, grams: pa.Table, templates: dict[str, int], benchmarks: Iterable[str]
) -> dict[str, Any]:
    """Count items, and those that n-gram rules cannot find: too short, or nothing but templates."""
    known = np.array(items.benchmarks)
    too_short = items.table.column("words").to_numpy() < MIN_WORDS
    place_item = grams.column("item").to_numpy()
    templates_only = ~too_short & ~np.isin(np.arange(len(known)), place_item)
    pairs = zip(known[place_item].tolist(), grams.column("gram").to_pylist(), strict=True)
    distinct = Counter(benchmark for benchmark, _ in set(pairs))
    return {
        name: {
            "items": int((known == name).sum()),
            "too_short": int(too_short[known == name].sum()),
            "templates_only": int(templates_only[known == name].sum()),
            "ngrams": distinct[name],
            "template_ngrams": templates.get(name, 0),
        }
        for name in benchmarks
    }


def read(settings: Settings) -> Iterator[Item]:
    """Yield the items of all tasks and benchmarks; raises UserError for what is none."""
    for task in settings.tasks:
        yield from read_task(task, Artifact.load(layout.task_items(task)).member("items.jsonl"))
    for name, benchmark in settings.benchmarks.items():
        found = read_benchmark(name, benchmark)
        if not found:
            log.warning("decontaminate.benchmarks.%s has no items", name)
        yield from found


def check_names(settings: Settings) -> None:
    """Raise UserError where two benchmarks have one name, or one has the canary's."""
    for name in settings.benchmarks:
        if name in settings.tasks:
            raise UserError(
                f"decontaminate.benchmarks.{name}: a task has this name; choose another"
            )
    if canary.CANARY in (*settings.tasks, *settings.benchmarks):
        raise UserError(f"a task or benchmark has the canary's name, {canary.CANARY}: rename it")


def files(settings: Settings) -> dict[str, Any]:
    """Return the identities of the user's files, and of the encoders'."""
    own = [file for name, one in settings.benchmarks.items() for file in files_of(name, one)]
    if settings.encoders:
        from scripts.decontaminate.embedding import files_of_encoder

        own += [file for one in settings.encoders.values() for file in files_of_encoder(one.path)]
    return identities(sorted(set(own)))


def main() -> None:
    options = parser(__doc__).parse_args()
    settings = parse_settings(Settings, options.settings)
    check_names(settings)
    artifact = make(
        lambda draft: build(draft, read(settings), settings),
        output=layout.contamination_index(),
        module="scripts.decontaminate.index",
        settings={"files": files(settings), **settings.model_dump(mode="json")},
        inputs=[layout.task_items(task) for task in settings.tasks],
    )
    for name, counts in artifact.counts.items():
        log.info("%s: %s", name, ", ".join(f"{value:,} {key}" for key, value in counts.items()))


if __name__ == "__main__":
    run(main)
