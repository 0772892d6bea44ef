"""Write a phase's training order: rows of segments of documents, by the weights of its mixture.

The weights hold to the token over the phase, and to half a document at any point in it. Every
source's stream goes on where the phase's parent left it, so no token is read again before all of
its source's tokens have been; behind a merge, where the merged phases together left it. No token is
copied: a row names stretches of the tokens artifacts.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from scripts.common import layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.batch_plan import BatchPlan
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Fraction, Model, Name
from scripts.common.config.train import Batching
from scripts.common.errors import UserError
from scripts.common.token_store import TokenStore
from scripts.mix.pack import Segments, cut, interleave
from scripts.mix.shares import apportion, source_shares
from scripts.mix.stream import Cursor, Documents, Pieces, joined, take, tokens_read

log = logging.getLogger(__name__)

SEGMENTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # in tokens of the shard's ids.bin
        pa.field("length", pa.int32(), nullable=False),
    ]
)


class MixedSource(Model):
    domain: Name
    shards: Annotated[int, Field(ge=1)]


class Settings(Batching):
    follows: list[Name]  # whose orders it goes on from: its parent, or what that merges
    tokenizer: Name
    mixture: dict[Name, Fraction]
    sources: dict[Name, MixedSource]  # those the mixture may draw on
    max_epochs: Annotated[float, Field(gt=0)]
    seed: int


def build(
    draft: Draft,
    phase: str,
    documents: Mapping[str, Documents],
    before: Sequence[Artifact],
    settings: Settings,
) -> None:
    """Write ``segments.parquet`` of ``phase`` over the sources' ``documents``.

    ``before`` are the orders that it goes on from. Raises UserError where the mixture asks for more
    than the sources have in ``max_epochs``.
    """
    clock = _clock(phase, before, settings)
    plan = _plan(phase, clock, settings)
    targets = _targets(phase, documents, plan, settings)
    cursors = _cursors(before)
    epochs = _epochs_before(before)
    streams = {}
    for source, wanted in targets.items():
        cursor = _cursor(cursors, documents[source])
        epochs[source] = _epochs(phase, documents[source], cursor, wanted, settings)
        streams[source], cursors[source] = take(documents[source], cursor, wanted, settings.seed)
    _write(draft.path("segments.parquet"), streams, plan)
    draft.counts.update(
        batch_tokens=settings.batch_tokens,
        batches=len(plan),
        clock=clock + settings.tokens,
        context=settings.context,
        cursors={source: cursor.model_dump() for source, cursor in sorted(cursors.items())},
        epochs=epochs,
        rows=plan.rows,
        tokens=targets,
        tokens_left_out=settings.tokens - plan.tokens,  # less than a batch
    )
    split = ", ".join(f"{source} {tokens / plan.tokens:.1%}" for source, tokens in targets.items())
    log.info("%s: %s tokens in %s rows: %s", phase, f"{plan.tokens:,}", f"{plan.rows:,}", split)


def _clock(phase: str, before: Sequence[Artifact], settings: Settings) -> int:
    """Return how many tokens the phase's clock has counted when it begins."""
    if not settings.inherit.clock:
        return 0
    clocks = {int(order.counts["clock"]) for order in before}
    if len(clocks) > 1:
        raise UserError(
            f"phases.{phase}.inherit.clock: the phases merged in its parent are at different "
            f"tokens, {sorted(clocks)}: leave it out"
        )
    return clocks.pop()


def _plan(phase: str, clock: int, settings: Settings) -> BatchPlan:
    try:
        return settings.plan(clock)
    except UserError as error:
        raise UserError(f"phases.{phase}.{error}") from None


def _targets(
    phase: str, documents: Mapping[str, Documents], plan: BatchPlan, settings: Settings
) -> dict[str, int]:
    """Return the tokens to read from each source; together they are the plan's batches."""
    shares = source_shares(
        phase,
        settings.mixture,
        {name: source.domain for name, source in settings.sources.items()},
        {name: of_source.tokens for name, of_source in documents.items()},
    )
    return {name: tokens for name, tokens in apportion(shares, plan.tokens).items() if tokens}


def _cursors(before: Sequence[Artifact]) -> dict[str, Cursor]:
    """Return where the orders before a phase's left each source that they have read."""
    found: defaultdict[str, list[Cursor]] = defaultdict(list)
    for order in before:
        for source, cursor in order.counts["cursors"].items():
            found[source].append(Cursor.model_validate(cursor))
    for source, cursors in found.items():
        sizes = {cursor.epoch_tokens for cursor in cursors}
        if len(sizes) > 1:
            raise UserError(
                f"source {source!r} had {' and '.join(map(str, sorted(sizes)))} tokens in the "
                "orders of the merged phases: make these orders again"
            )
    return {source: joined(cursors) for source, cursors in found.items()}


def _epochs_before(before: Sequence[Artifact]) -> dict[str, float]:
    """Return how often each source has been read, by the merged phase that read it the most."""
    epochs: dict[str, float] = {}
    for order in before:
        for source, count in order.counts["epochs"].items():
            epochs[source] = max(count, epochs.get(source, 0.0))
    return epochs


def _cursor(cursors: Mapping[str, Cursor], documents: Documents) -> Cursor:
    """Return where the phase's ancestors left a source; raises UserError if it has changed."""
    cursor = cursors.get(documents.source, Cursor(epoch_tokens=documents.tokens))
    if cursor.epoch_tokens != documents.tokens:
        raise UserError(
            f"source {documents.source!r} had {cursor.epoch_tokens} tokens in the parent's order "
            f"and has {documents.tokens} now: make the parent's order again"
        )
    return cursor


def _epochs(
    phase: str, documents: Documents, cursor: Cursor, wanted: int, settings: Settings
) -> float:
    """Return how often the source will have been read since the first ancestor began.

    Raises UserError if that is more than the phase's ``max_epochs``.
    """
    before = tokens_read(documents, cursor)
    epochs = (before + wanted) / documents.tokens
    if epochs > settings.max_epochs:
        raise UserError(
            f"phase {phase!r} wants {wanted:,} tokens of source {documents.source!r}, which has "
            f"{documents.tokens:,}; with the {before:,} that its ancestors read that is "
            f"{epochs:.2f} epochs, over max_epochs {settings.max_epochs:g}: lower its weight, "
            f"raise phases.{phase}.max_epochs, or add data"
        )
    return epochs


def _write(path: Path, streams: Mapping[str, Pieces], plan: BatchPlan) -> None:
    names = pa.array(list(streams), pa.string())
    index, pieces = interleave(list(streams.values()))
    with pq.ParquetWriter(path, SEGMENTS, compression="zstd", compression_level=3) as writer:
        for segments in cut(index, pieces, plan.row_lengths()):
            writer.write_table(_table(segments, names))


def _table(segments: Segments, names: pa.Array) -> pa.Table:
    source = pa.DictionaryArray.from_arrays(segments.source, names)
    columns = [segments.row, source, segments.shard, segments.start, segments.length]
    return pa.table(columns, schema=SEGMENTS)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--phase", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    paths = {
        name: [layout.tokens(settings.tokenizer, name, shard) for shard in range(source.shards)]
        for name, source in sorted(settings.sources.items())
    }
    before = [layout.order(phase) for phase in settings.follows]
    make(
        lambda draft: build(
            draft,
            arguments.phase,
            {name: _open(name, shards) for name, shards in paths.items()},
            [Artifact.load(order) for order in before],
            settings,
        ),
        output=layout.order(arguments.phase),
        module="scripts.mix.order",
        settings=settings.model_dump(mode="json"),
        inputs=[*before, *(path for shards in paths.values() for path in shards)],
    )


def _open(source: str, shards: list[Path]) -> Documents:
    return Documents.of(source, [TokenStore.open(shard) for shard in shards])


if __name__ == "__main__":
    run(main)
