"""What a shard's selection rests on: the artifacts, and their columns in the documents' order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.attributes import CONTAMINATION, artifact_of
from scripts.common.config.select import SelectDomain
from scripts.select.rulesets import columns

Column = NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """The artifacts on which a shard's selection rests: paths of their content records.

    With ``cut_lines`` the lines and paragraphs that deduplication found to be repeats are cut.
    """

    source: str
    shard: int
    settings: SelectDomain
    cut_lines: bool = False

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
        """Return the artifact that has the column ``name``."""
        return layout.attributes(self.source, artifact_of(name), self.shard)

    def paths(self) -> list[Path]:
        attributes = sorted({self.attribute(name) for name in columns(self.settings)})
        lines = [layout.duplicate_lines()] if self.cut_lines else []
        return [self.documents, self.duplicates, *lines, self.contamination, *attributes]

    def ids(self) -> NDArray[np.int64]:
        path = Artifact.load(self.documents).member("documents.parquet")
        return tables.read(path, ["id"]).column("id").to_numpy()

    def attributes(self, ids: NDArray[np.int64]) -> Mapping[str, pa.ChunkedArray]:
        """Return the columns that the settings need, each artifact being read once.

        Raises UserError if there is not one value for each document.
        """
        by_artifact: dict[Path, list[str]] = {}
        for name in columns(self.settings):
            by_artifact.setdefault(self.attribute(name), []).append(name)
        found: dict[str, pa.ChunkedArray] = {}
        for content, names in by_artifact.items():
            table = read_aligned(Artifact.load(content).member("attributes.parquet"), names, ids)
            found.update(zip(names, table.select(names).columns, strict=True))
        return found

    def of_shard(
        self, artifact: Path, names: list[str], ids: NDArray[np.int64]
    ) -> Mapping[str, pa.ChunkedArray]:
        """Return columns of an artifact over all shards of all sources, for this shard."""
        path = Artifact.load(artifact).member(f"{self.source}.parquet")
        table = read_aligned(path, names, ids, filters=[("shard", "=", self.shard)])
        return dict(zip(names, table.select(names).columns, strict=True))


def read_aligned(
    path: Path,
    names: list[str],
    ids: NDArray[np.int64],
    filters: list[tuple[str, str, Any]] | None = None,
) -> pa.Table:
    """Read columns of a table; raises UserError if its rows are not those of the documents."""
    table = tables.read(path, ["id", *names], filters=filters)
    tables.check_aligned(table, ids.tolist(), path)
    return table
