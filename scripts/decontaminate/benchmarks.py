"""Evaluation items by benchmark: of the workflow's own tasks, and of the user's files."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.collect.files import SUFFIXES, matched
from scripts.common.config.decontaminate import Benchmark
from scripts.common.errors import UserError
from scripts.decontaminate.item import Item


def files_of(name: str, benchmark: Benchmark) -> list[Path]:
    """Return a benchmark's files; raises UserError for a pattern that matches none."""
    try:
        found = matched(benchmark.paths, "benchmark")
    except UserError as error:
        raise UserError(f"decontaminate: {name!r}: {error}") from None
    for file in found:
        if not file.name.endswith(SUFFIXES["benchmark"]):
            raise UserError(
                f"decontaminate: {name!r}: {file} is none of "
                f"{', '.join(SUFFIXES['benchmark'])}: convert it, or correct `paths`"
            )
    return found


def read_task(task: str, path: Path) -> list[Item]:
    """Return the items of one of the workflow's tasks, from its ``items.jsonl``.

    Raises UserError naming the line that is no item or repeats one.
    """
    own = Benchmark(paths=[path.as_posix()], fields=["text"], id_field="id")
    return _unique((item, place) for item, place in _items(task, own, path))


def read_benchmark(name: str, benchmark: Benchmark) -> list[Item]:
    """Return the items of a user's benchmark; raises UserError naming what is no item."""
    found = files_of(name, benchmark)
    return _unique(pair for file in found for pair in _items(name, benchmark, file))


def _unique(items: Iterator[tuple[Item, str]]) -> list[Item]:
    seen: dict[str, Item] = {}
    for item, place in items:
        if item.name in seen:
            raise UserError(f"{place}: item {item.name!r} is there twice: give it its own id")
        seen[item.name] = item
    return list(seen.values())


def _items(name: str, benchmark: Benchmark, file: Path) -> Iterator[tuple[Item, str]]:
    """Yield a file's items, each with where it stands."""
    lines = ".jsonl" in file.suffixes[-2:]
    rows = _lines(file) if lines else _records(file, benchmark.records)
    stem = file.name.partition(".json")[0]
    for number, (place, row) in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UserError(f"{place}: no item, but {type(row).__name__}: correct the file")
        own = f"{stem}-{number}" if benchmark.id_field is None else _name(row, benchmark, place)
        texts = [text for field in benchmark.fields for text in _texts(row, field, place)]
        yield Item(name, own, "\n".join(texts)), place


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_read(file).split("\n"), start=1):
        if line.strip():
            yield f"{file}:{number}", _parse(line, f"{file}:{number}")


def _records(file: Path, key: str | None) -> Iterator[tuple[str, Any]]:
    whole = _parse(_read(file), str(file))
    if key is not None:
        whole = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(whole, list):
        keys = "" if key is None else f" under {key!r}"
        raise UserError(f"{file}: no list of items{keys}: name its key as the `records`")
    for number, row in enumerate(whole, start=1):
        yield f"{file}, item {number}", row


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
        return (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}): make it again") from None


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: no JSON ({error}): correct the file") from None


def _name(row: Mapping[str, Any], benchmark: Benchmark, place: str) -> str:
    value = row.get(benchmark.id_field or "")
    if not isinstance(value, str | int):
        raise UserError(f"{place}: no item, it has no `{benchmark.id_field}`: correct `id_field`")
    return str(value)


def _texts(row: Mapping[str, Any], field: str, place: str) -> Sequence[str]:
    """Return a field's text, or several of a list."""
    value = row.get(field)
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise UserError(
            f"{place}: no item, its {field!r} is no text or list of texts; there are "
            f"{sorted(row)[:20]}: correct `fields`"
        )
    return [str(one) for one in values]
