"""Documents as the stage reads them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Draft, make

Row = tuple[int, str]  # id and text
WriteDocuments = Callable[[str, int, Sequence[Row], Sequence[Row]], None]


def write_tables(draft: Draft, training: Sequence[Row], heldout: Sequence[Row]) -> None:
    for name, rows in (("documents", training), ("heldout", heldout)):
        records = [
            {"id": one, "text": text, "source": "s", "url": f"{name}/{one}", "metadata": "{}"}
            for one, text in rows
        ]
        table = pa.Table.from_pylist(records, schema=tables.DOCUMENTS)
        tables.write(table, draft.path(f"{name}.parquet"))


@pytest.fixture
def write_documents(workdir: Path) -> WriteDocuments:
    """Writes a shard's artifact of documents and held-out documents."""

    def write(source: str, shard: int, training: Sequence[Row], heldout: Sequence[Row]) -> None:
        make(
            lambda draft: write_tables(draft, training, heldout),
            output=layout.documents(source, shard),
            module="scripts.common.files",
            settings=[training, heldout],  # other documents are another artifact
            inputs=[],
        )

    return write
