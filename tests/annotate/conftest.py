"""Documents artifacts as `collect` makes them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make


@pytest.fixture
def make_documents(workdir: Path) -> Callable[[str, int, list[str]], Artifact]:
    def made(source: str, shard: int, texts: list[str]) -> Artifact:
        rows = [
            {
                "id": (sum(map(ord, source)) * 100 + shard) * 10_000 + place,
                "text": text,
                "source": source,
                "url": f"{source}/{shard}/{place}",
                "metadata": "{}",
            }
            for place, text in enumerate(texts)
        ]

        def build(draft: Draft) -> None:
            table = pa.Table.from_pylist(rows, schema=tables.DOCUMENTS)
            tables.write(table, draft.path("documents.parquet"))

        return make(
            build,
            output=layout.documents(source, shard),
            module="scripts.common.tables",
            settings=texts,
            inputs=[],
        )

    return made
