"""The catalogue of known data sets: `config/sources/`, one file each.

A source of the configuration takes an entry's keys by `catalogue: NAME`; its own override them.
"""

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.common.config.base import Model
from scripts.common.errors import UserError

FOLDER = Path(__file__).resolve().parents[3] / "config/sources"
_ADDRESS = r"^https://\S+$"


class Entry(Model):
    """A data set: what it is, where it is described, and the keys of a source that reads it."""

    title: str
    home: str = Field(pattern=_ADDRESS)
    paper: str | None = Field(pattern=_ADDRESS)
    download: str | None = Field(pattern=_ADDRESS)  # of files that `paths` is to name
    source: dict[str, Any]


class CatalogueSource(BaseModel):
    """A source that takes an entry's keys where it has none of its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    catalogue: str


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


@functools.cache
def entry(name: str) -> Entry:
    """Read an entry; raises UserError if its file is not as it should be."""
    file = FOLDER / f"{name}.yaml"
    try:
        return Entry.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{file} is no entry of the catalogue: {error}") from None


def expanded(sources: Any) -> Any:
    """Return the configuration's `sources` with the keys of catalogue entries filled in.

    What is not of the right shape is left as it is, for validation to tell. Raises ValueError that
    names each source whose entry does not exist, or needs what the source does not say.
    """
    if not isinstance(sources, Mapping):
        return sources
    problems: list[str] = []
    filled = {name: _filled(name, values, problems) for name, values in sources.items()}
    if problems:
        raise ValueError("; ".join(problems))
    return filled


def _filled(name: Any, values: Any, problems: list[str]) -> Any:
    if not isinstance(values, Mapping) or "catalogue" not in values:
        return values
    wanted = values["catalogue"]
    if wanted not in names():
        near = difflib.get_close_matches(str(wanted), names()) or names()
        problems.append(
            f"{name}.catalogue: config/sources has no entry {wanted!r}; did you mean one of {near}?"
        )
        return values
    known = entry(wanted)
    own = {key: value for key, value in values.items() if key != "catalogue"}
    if known.download is not None and "paths" not in own:
        problems.append(
            f"{name}.paths: name the files; {wanted} is downloaded from {known.download}"
        )
    return {**known.source, **own}
