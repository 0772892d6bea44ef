"""From a row of named values to a record: what JSON Lines and Parquet have in common."""

from collections.abc import Mapping
from typing import Any

from scripts.collect.records import Quarantine, Record


def record_of(
    row: Mapping[str, Any], locator: str, text_field: str, fields: Mapping[Any, str]
) -> Record | Quarantine:
    """Return the record in ``row``; ``fields`` maps url, license, ... to the row's names.

    Values that are mapped to nothing become the record's metadata. A text that is missing, and any
    mapped value that is neither a string nor null, is a quarantine.
    """
    if row.get(text_field) is None:
        return Quarantine(
            locator, "missing_text", f"no field {text_field!r}; there are {sorted(row)[:20]}"
        )
    for name in (text_field, *fields.values()):
        if not isinstance(row.get(name), str | None):
            return Quarantine(
                locator, "wrong_type", f"{name!r} is {type(row[name]).__name__}, not a string"
            )
    known = {text_field, *fields.values()}
    return Record(
        locator,
        row[text_field],
        metadata={name: value for name, value in row.items() if name not in known},
        **{key: row.get(name) for key, name in fields.items()},
    )
