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

import pyarrow as pa

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


class Settings(Model):
    source: AnySource
    heldout: HeldOut


@dataclass
class _Shard:
    """What was read: rows for the tables, in order."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    heldout: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[Quarantine] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    repaired: int = 0  # records whose text its Unicode treatment changed

    @property
    def quarantined(self) -> int:
        return sum(one.records for one in self.quarantine)


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
    found = _collect(reader.read(shard), name, settings)
    _check_quarantine(found, settings.source.max_quarantined)
    if not found.documents and not found.heldout:
        _check_other_shards(reader, shard, settings.source.shards)
    for member, rows in (("documents", found.documents), ("heldout", found.heldout)):
        tables.write(pa.Table.from_pylist(rows, tables.DOCUMENTS), draft.path(f"{member}.parquet"))
    tables.write(_quarantine_table(found.quarantine), draft.path("quarantine.parquet"))
    reasons = Counter[str]()
    for one in found.quarantine:
        reasons[one.reason] += one.records
    draft.counts.update(
        documents=len(found.documents),
        heldout=len(found.heldout),
        quarantined=found.quarantined,
        quarantined_by_reason=dict(reasons),
        repaired=found.repaired,
        skipped=found.skipped.total(),
        skipped_by_reason=dict(found.skipped),
        without_license=sum(row["license"] is None for row in found.documents),
        bytes=sum(len(row["text"].encode()) for row in found.documents),
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


def _collect(records: Iterable[Found], name: str, settings: Settings) -> _Shard:
    found, seen = _Shard(), set[int]()
    for record in records:
        if isinstance(record, Skipped):
            found.skipped[record.reason] += record.records
            continue
        if isinstance(record, Record):
            text = treated(record.text, settings.source.unicode)
            found.repaired += text != record.text
            record = _without_fault(replace(record, text=text))
        if isinstance(record, Quarantine):
            found.quarantine.append(record)
            continue
        row = _row(record, name, settings.source.license)
        if row["id"] in seen:
            detail = f"the same url and text came before: {row['url']}"
            found.quarantine.append(Quarantine(record.locator, "duplicate_id", detail))
            continue
        seen.add(row["id"])
        held_out = is_held_out(record.text, settings.heldout.fraction)
        (found.heldout if held_out else found.documents).append(row)
    return found


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


def _quarantine_table(quarantine: Iterable[Quarantine]) -> pa.Table:
    rows = [
        {"url": one.locator, "reason": one.reason, "detail": _detail(one)} for one in quarantine
    ]
    return pa.Table.from_pylist(rows, tables.QUARANTINE)


def _detail(one: Quarantine) -> str:
    return one.detail.encode("utf-8", "backslashreplace").decode()[:_MAX_DETAIL_CHARACTERS]


def _check_quarantine(found: _Shard, allowed: float) -> None:
    total = len(found.documents) + len(found.heldout) + found.quarantined
    if found.quarantined > allowed * total:
        first = "\n".join(
            f"  {one.locator}: {one.reason}: {_detail(one)}"
            for one in found.quarantine[:_SHOWN_REASONS]
        )
        raise UserError(
            f"{found.quarantined:,} of {total:,} records are no documents, more "
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
