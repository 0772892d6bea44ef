"""From a row of named values to a record: what JSON Lines and Parquet have in common."""

from collections.abc import Mapping
from typing import Any

from scripts.collect.records import Quarantine, Record


def record_of(
    row: Mapping[str, Any], locator: str, text_field: str, fields: Mapping[Any, str]
) -> Record | Quarantine:
    """Return the record in ``row``; ``fields`` maps url, license, ... to the row's names.

    A name with dots, such as ``meta.url``, is looked up within objects. Values that are mapped to
    nothing become the record's metadata. A text that is missing, and any mapped value that is
    neither a string nor null, is a quarantine.
    """
    if _value(row, text_field) is None:
        return Quarantine(
            locator, "missing_text", f"no field {text_field!r}; there are {sorted(row)[:20]}"
        )
    for name in (text_field, *fields.values()):
        value = _value(row, name)
        if not isinstance(value, str | None):
            return Quarantine(
                locator, "wrong_type", f"{name!r} is {type(value).__name__}, not a string"
            )
    known = {text_field, *fields.values()}
    return Record(
        locator,
        _value(row, text_field),
        metadata={name: value for name, value in row.items() if name not in known},
        **{key: _value(row, name) for key, name in fields.items()},
    )


def _value(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a name, None where there is none."""
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
