"""What every annotator's program does: read a shard's documents, have them measured, write.

An annotator is one function from texts to its columns:

    def measure(texts: Texts) -> Columns: ...

    if __name__ == "__main__":
        runner.main("mine", measure, __doc__)

Its columns are registered in `scripts.common.attributes`, from where the rule hands them down.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.errors import UserError
from scripts.common.texts import Texts

log = logging.getLogger(__name__)

Columns = Mapping[str, NDArray[Any] | pa.Array]  # each with a value for every text
Measure = Callable[[Texts], Columns]
Types = Mapping[str, pa.DataType]  # of the columns that are no measures
Count = Callable[[pa.Table], dict[str, Any]]


class Settings(Model):
    """The columns that the annotator is registered for: what they are is its definition."""

    columns: list[str]


def main(
    name: str,
    measure: Measure,
    description: str | None,
    types: Types | None = None,
    count: Count | None = None,
) -> None:
    """Run the program of the annotator ``name``.

    ``types`` are those of its columns that are no measures; ``count`` adds to what is counted of a
    shard, given its finished table.
    """
    run(partial(_main, name, measure, description, types or {}, count))


def _main(
    name: str, measure: Measure, description: str | None, types: Types, count: Count | None
) -> None:
    arguments = parser(description)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--shard", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    documents = layout.documents(given.source, given.shard)
    artifact = make(
        lambda draft: build(
            draft, Artifact.load(documents), measure, settings.columns, types, count
        ),
        output=layout.attributes(given.source, name, given.shard),
        module=f"scripts.annotate.{name}",
        settings=settings.model_dump(mode="json"),
        inputs=[documents],
    )
    log.info("%s/%s: measured: %s", given.source, given.shard, dict(artifact.counts))


def build(
    draft: Draft,
    documents: Artifact,
    measure: Measure,
    columns: list[str],
    types: Types,
    count: Count | None = None,
) -> None:
    """Write `attributes.parquet`: `id` and the annotator's columns, a row per document, in order.

    Columns are floats, but for those with ``types``. Raises UserError if ``measure`` returns others
    than ``columns``.
    """
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            *(pa.field(one, types.get(one, pa.float64()), nullable=False) for one in columns),
        ]
    )
    parts = []
    for batch in tables.batches(documents.member("documents.parquet"), ["id", "text"]):
        found = measure(Texts.of_column(batch.column("text")))
        if set(found) != set(columns):
            raise UserError(
                f"the annotator returns {sorted(found)}, but is registered for {sorted(columns)}: "
                "make them agree in scripts/common/attributes.py"
            )
        values = [_array(found[one], types.get(one)) for one in columns]
        parts.append(pa.RecordBatch.from_arrays([batch.column("id"), *values], schema=schema))
    table = pa.Table.from_batches(parts, schema)
    tables.write(table, draft.path("attributes.parquet"))
    draft.counts = {"documents": table.num_rows, **(count(table) if count else {})}


def _array(values: NDArray[Any] | pa.Array, type_of: pa.DataType | None) -> pa.Array:
    """Return a column; of numbers by their buffer, as `pa.array` imports pandas, if it is there."""
    if type_of is not None:
        return values if isinstance(values, pa.Array) else pa.array(values, type_of)
    numbers = np.ascontiguousarray(values, np.float64)
    return pa.Array.from_buffers(pa.float64(), len(numbers), [None, pa.py_buffer(numbers)])
