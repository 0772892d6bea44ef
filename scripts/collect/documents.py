"""Collect the documents of one shard of a source.

Writes ``documents.parquet`` and ``heldout.parquet`` (tables.DOCUMENTS, rows in the reader's order)
and ``quarantine.parquet`` (tables.QUARANTINE): what was read but is no document, with the reason.
What a reader leaves out on purpose is counted by its reason.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from scripts.collect.heldout import is_held_out
from scripts.collect.readers import reader_of
from scripts.collect.records import Found, Quarantine, Reader, Record, Skipped
from scripts.collect.unicode import treated
from scripts.common import canonical, layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.config.collect import AnySource, HeldOut
from scripts.common.errors import UserError

log = logging.getLogger(__name__)
_SHOWN_REASONS = 5
_MAX_DETAIL_CHARACTERS = 500
_COUNTS = ("documents", "heldout", "repaired", "without_license", "bytes")


class Settings(Model):
    source: AnySource
    heldout: HeldOut


@dataclass
class _Shard:
    """Writes what is read to a shard's tables as it comes, and counts it."""

    source: str
    settings: Settings
    documents: tables.RowWriter
    heldout: tables.RowWriter
    quarantine: tables.RowWriter
    counts: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)  # by reason
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    first_faults: list[Quarantine] = field(default_factory=list)
    _ids: set[int] = field(default_factory=set)

    def add(self, found: Found) -> None:
        if isinstance(found, Record):
            text = treated(found.text, self.settings.source.unicode)
            self.counts["repaired"] += text != found.text
            found = _without_fault(replace(found, text=text))
        match found:
            case Skipped():
                self.skipped[found.reason] += found.records
            case Quarantine():
                self._add_quarantine(found)
            case Record():
                self._add_record(found)

    def _add_record(self, record: Record) -> None:
        row = _row(record, self.source, self.settings.source.license)
        if row["id"] in self._ids:
            detail = f"the same url and text came before: {row['url']}"
            self._add_quarantine(Quarantine(record.locator, "duplicate_id", detail))
            return
        self._ids.add(row["id"])
        if is_held_out(record.text, self.settings.heldout.fraction):
            self.counts["heldout"] += 1
            self.heldout.add(row)
            return
        self.counts["documents"] += 1
        self.counts["without_license"] += row["license"] is None
        self.counts["bytes"] += len(record.text.encode())
        self.documents.add(row)

    def _add_quarantine(self, one: Quarantine) -> None:
        self.quarantined[one.reason] += one.records
        if len(self.first_faults) < _SHOWN_REASONS:
            self.first_faults.append(one)
        self.quarantine.add({"url": one.locator, "reason": one.reason, "detail": _detail(one)})


def collect(name: str, shard: int, settings: Settings) -> Artifact:
    """Make ``layout.documents(name, shard)``; raises UserError for faults of the source."""
    if not 0 <= shard < settings.source.shards:
        raise UserError(f"there is no shard {shard}: `shards` is {settings.source.shards}")
    reader = reader_of(settings.source)
    manifest_settings = {
        "name": name,  # a part of the documents' ids
        "shard": shard,
        "read": reader.inputs(shard),  # files and packages are no artifacts, but they count
        **settings.model_dump(mode="json"),
    }
    return make(
        lambda draft: build(draft, name, shard, settings, reader),
        output=layout.documents(name, shard),
        module="scripts.collect.documents",
        settings=manifest_settings,
        inputs=[],
    )


def build(draft: Draft, name: str, shard: int, settings: Settings, reader: Reader) -> None:
    """Write the members of ``layout.documents(name, shard)``.

    Raises UserError if the source has no document, or more quarantined records than it allows.
    """
    with (
        tables.RowWriter(draft.path("documents.parquet"), tables.DOCUMENTS) as documents,
        tables.RowWriter(draft.path("heldout.parquet"), tables.DOCUMENTS) as heldout,
        tables.RowWriter(draft.path("quarantine.parquet"), tables.QUARANTINE) as quarantine,
    ):
        found = _Shard(name, settings, documents, heldout, quarantine)
        for one in reader.read(shard):
            found.add(one)
    _check_quarantine(found, settings.source.max_quarantined)
    if not found.counts["documents"] and not found.counts["heldout"]:
        _check_other_shards(reader, shard, settings.source.shards)
    draft.counts.update({name: found.counts[name] for name in _COUNTS})
    draft.counts.update(
        quarantined=found.quarantined.total(),
        quarantined_by_reason=dict(found.quarantined),
        skipped=found.skipped.total(),
        skipped_by_reason=dict(found.skipped),
    )
    log.info(
        "%s/%d: %s documents, %s held out, %s quarantined, %s skipped",
        name,
        shard,
        *(f"{draft.counts[key]:,}" for key in ("documents", "heldout", "quarantined", "skipped")),
    )


def document_id(source: str, url: str, text: str) -> int:
    """Return the id of a document: 63 bits of a hash of what it is and where it comes from."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (source, url, text):
        content = part.encode()
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return int.from_bytes(digest.digest(), "big") >> 1


def _without_fault(record: Record) -> Record | Quarantine:
    if not record.text.strip():
        return Quarantine(record.locator, "empty_text", "the text is empty or white space")
    try:
        _texts(record).encode()
    except UnicodeEncodeError as error:  # JSON can name half of a surrogate pair
        return Quarantine(record.locator, "invalid_unicode", str(error))
    return record


def _texts(record: Record) -> str:
    fields = (record.url, record.license, record.created, record.language)
    return "".join([record.text, canonical.dumps(record.metadata), *(one or "" for one in fields)])


def _row(record: Record, source: str, default_license: str | None) -> dict[str, Any]:
    url = record.url or record.locator
    return {
        "id": document_id(source, url, record.text),
        "text": record.text,
        "source": source,
        "url": url,
        "license": record.license or default_license,
        "created": record.created,
        "language": record.language,
        "metadata": canonical.dumps(record.metadata),
    }


def _detail(one: Quarantine) -> str:
    return one.detail.encode("utf-8", "backslashreplace").decode()[:_MAX_DETAIL_CHARACTERS]


def _check_quarantine(found: _Shard, allowed: float) -> None:
    quarantined = found.quarantined.total()
    total = found.counts["documents"] + found.counts["heldout"] + quarantined
    if quarantined > allowed * total:
        first = "\n".join(
            f"  {one.locator}: {one.reason}: {_detail(one)}" for one in found.first_faults
        )
        raise UserError(
            f"{quarantined:,} of {total:,} records are no documents, more "
            f"than the fraction {allowed:g} that max_quarantined allows; the first are\n{first}\n"
            "Correct them, or raise max_quarantined of this source"
        )


def _check_other_shards(reader: Reader, empty: int, shards: int) -> None:
    """Raise UserError unless some other shard has a document: then this one may be empty."""
    if not any(_has_document(reader.read(shard)) for shard in range(shards) if shard != empty):
        raise UserError(
            "no document in the whole source: correct what it reads (`paths`, `packages`, "
            "`content`), or remove it"
        )


def _has_document(records: Iterable[Found]) -> bool:
    return any(
        isinstance(record, Record) and isinstance(_without_fault(record), Record)
        for record in records
    )


def main() -> None:
    arguments_of = parser(__doc__)
    arguments_of.add_argument("--source", required=True, help="the source's name")
    arguments_of.add_argument("--shard", required=True, type=int, help="counted from 0")
    arguments = arguments_of.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    try:
        collect(arguments.source, arguments.shard, settings)
    except UserError as error:
        raise UserError(f"sources.{arguments.source}: {error}") from error


if __name__ == "__main__":
    run(main)
