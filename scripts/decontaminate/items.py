"""The items of an index: a table, their words, and the canary among them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact
from scripts.common.texts import Texts
from scripts.decontaminate import canary
from scripts.decontaminate.hashed_words import HashedWords, hash_words
from scripts.decontaminate.item import Item

ITEMS = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("words", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Items:
    """Evaluation items, known by their rows' numbers."""

    table: pa.Table  # with ITEMS' columns, by benchmark and item
    words: HashedWords

    @classmethod
    def of(cls, items: Iterable[Item]) -> "Items":
        """Sort items, the canary among them."""
        rows = sorted([*items, Item(canary.CANARY, canary.CANARY, canary.item())])
        texts = Texts.of_strings([item.text for item in rows])
        words = hash_words(texts)
        columns = [
            [item.benchmark for item in rows],
            [item.name for item in rows],
            [texts.encoded(number).decode() for number in range(len(rows))],
            words.counts.astype(np.int32),
        ]
        return cls(pa.table(columns, schema=ITEMS), words)

    @classmethod
    def read(cls, index: Artifact) -> "Items":
        table = tables.read(index.member("items.parquet"))
        return cls(table, hash_words(texts_of(table)))

    @property
    def texts(self) -> Texts:
        return texts_of(self.table)

    @property
    def benchmarks(self) -> list[str]:
        """The benchmark of each item."""
        names: list[str] = self.table.column("benchmark").to_pylist()
        return names

    @property
    def canary(self) -> int:
        """The canary's number."""
        return int(pc.index(self.table.column("benchmark"), canary.CANARY).as_py())

    def by_benchmark(self, default: float, values: dict[str, float]) -> NDArray[np.float64]:
        """Return a value for each item: that of its benchmark, or the default."""
        return np.array([values.get(name, default) for name in self.benchmarks])


def texts_of(table: pa.Table) -> Texts:
    """Return a table's column ``text``."""
    column = table.column("text").combine_chunks()
    return Texts.of_column(column if isinstance(column, pa.Array) else column.chunk(0))
