"""A plan as a table for people and as JSON for machines: a column, or a record, for each phase."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scripts.train.plan.estimate import Cluster
from scripts.train.plan.phases import Planned
from scripts.train.plan.remedies import largest_micro_batch, remedies

_GIB = 1 << 30
_PARTS = {
    "weights": "weights",
    "masters": "fp32 weights",
    "moments": "moments",
    "gradients": "gradients",
    "buffers": "DeepSpeed's buffers",
    "activations": "activations",
    "working": "the head or one block",
    "context": "CUDA and NCCL",
    "total": "sum",
}

Record = Mapping[str, Any]
Cell = Callable[[Record], str]


def records(planned: Sequence[Planned]) -> list[dict[str, Any]]:
    """Return all that is told of each phase, in tokens, bytes, hours and days.

    ``batch_tokens``, ``rows`` and ``context`` are the least and the most of the phase.
    """
    return [_record(one) for one in planned]


def _record(planned: Planned) -> dict[str, Any]:
    estimate = planned.estimate
    memory, stretches = estimate.memory, estimate.plan.stretches
    fits = estimate.fits_with()
    return {
        "phase": planned.name,
        "parameters": estimate.shape.parameters,
        "tokens": estimate.plan.tokens,
        "steps": len(estimate.plan),
        "batch_tokens": _ends([one.batch_tokens for one in stretches]),
        "rows": _ends([one.rows for one in stretches]),
        "context": _ends([one.context for one in stretches]),
        "document_tokens": estimate.mean_length,
        "document_tokens_are": planned.lengths_are,
        "flops_per_token": estimate.flops_per_token,
        "gpus": estimate.gpus,
        "micro_batch_tokens": estimate.micro_batch_tokens,
        "largest_micro_batch_tokens": largest_micro_batch(estimate),
        "memory": {**memory.parts, "total": memory.total},
        "fullest_at": memory.fullest_at,
        "host_memory": estimate.host_bytes,
        "fits": fits,
        "remedies": [] if fits else remedies(estimate),
        "precision": estimate.precision,
        "compiled": estimate.engine.compile,
        "tokens_per_gpu_hour": estimate.tokens_per_gpu_hour,
        "gpu_hours": estimate.gpu_hours,
        "days": estimate.days,
    }


def _ends(values: Sequence[int]) -> list[int]:
    return [min(values), max(values)]


def table(title: str, cluster: Cluster, planned: Sequence[Planned]) -> str:
    """Return a plan as aligned text, what was assumed above it and what to change below."""
    found = records(planned)
    rows = [(label, [cell(record) for record in found]) for label, cell in _rows(found)]
    labels = max(len(label) for label, _ in rows)
    widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows), strict=True)]
    lines = [
        label.ljust(labels)
        + "".join("  " + cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for label, cells in rows
    ]
    text = [*_heading(title, cluster, found), "", *lines, "", *_closing(found, cluster)]
    return "\n".join(line.rstrip() for line in text)


def _heading(title: str, cluster: Cluster, found: Sequence[Record]) -> Iterator[str]:
    gpu = cluster.gpu
    yield title
    yield f"{found[0]['parameters']:,} parameters"
    yield (
        f"{gpu.name}: {gpu.flops / 1e12:,.0f} TFLOP/s in bf16, {gpu.memory / 1e9:.0f} GB "
        f"({gpu.memory / _GIB:.1f} GiB); nodes: {cluster.nodes}; assumed MFU: {cluster.mfu:.0%}"
    )


def _rows(found: Sequence[Record]) -> Iterator[tuple[str, Cell]]:
    """Yield the table's rows: a label, and what a phase's cell says."""
    yield "", lambda one: one["phase"]
    yield "tokens", lambda one: f"{one['tokens']:,}"
    yield "steps", lambda one: f"{one['steps']:,}"
    yield "batch [tokens]", lambda one: _range(one["batch_tokens"])
    yield "batch [rows]", lambda one: _range(one["rows"])
    yield "context [tokens]", lambda one: _range(one["context"])
    yield "documents [tokens]", lambda one: f"{one['document_tokens']:,.0f}"
    yield "  which are", lambda one: one["document_tokens_are"]
    yield "FLOPs per token", lambda one: f"{one['flops_per_token']:.3g}"
    yield "GPUs", lambda one: f"{one['gpus']:,}"
    yield "micro-batch [tokens]", lambda one: f"{one['micro_batch_tokens']:,}"
    yield "  largest that fits", lambda one: _or_none(one["largest_micro_batch_tokens"])
    yield "memory of a GPU [GiB]", lambda one: ""
    for part, label in _PARTS.items():
        if any(one["memory"][part] for one in found):
            yield f"  {label}", _memory_cell(part)
    yield "  fullest at", lambda one: one["fullest_at"]
    yield "  fits", lambda one: "yes" if one["fits"] else "NO"
    if any(one["host_memory"] for one in found):
        yield "memory of a node [GiB]", lambda one: f"{one['host_memory'] / _GIB:,.2f}"
    yield "tokens per GPU-hour [M]", lambda one: _figures(one["tokens_per_gpu_hour"] / 1e6)
    yield "GPU-hours", lambda one: _figures(one["gpu_hours"])
    yield "days", lambda one: _figures(one["days"])


def _memory_cell(part: str) -> Cell:
    return lambda one: f"{one['memory'][part] / _GIB:,.2f}"


def _range(ends: Sequence[int]) -> str:
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _or_none(count: int | None) -> str:
    return "none" if count is None else f"{count:,}"


def _figures(value: float) -> str:
    """Return three significant figures, more of a large number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _closing(found: Sequence[Record], cluster: Cluster) -> Iterator[str]:
    hours, days = (sum(one[key] for one in found) for key in ("gpu_hours", "days"))
    yield f"all phases, one after the other: {_figures(hours)} GPU-hours, {_figures(days)} days"
    if any(one["document_tokens_are"] == "assumed" for one in found):
        yield "documents are assumed to be half their context: give --document-length, or make"
        yield "the orders, from which lengths are read: snakemake results/orders/PHASE/content.json"
    if not all(one["compiled"] for one in found):
        yield "memory is that of compiled blocks: without `engine.compile` they keep more"
    if any(one["precision"] == "fp32" for one in found):
        yield "precision fp32: as for the others, the MFU is a share of the GPU's FLOP/s in bf16"
    for one in found:
        if not one["fits"]:
            yield _advice(one, cluster)


def _advice(record: Record, cluster: Cluster) -> str:
    needs = (
        f"phases.{record['phase']} needs {record['memory']['total'] / _GIB:.1f} GiB of a GPU's "
        f"{cluster.gpu.memory / _GIB:.1f}"
    )
    ways = [
        "{" + ", ".join(f"{key}: {_yaml(value)}" for key, value in change.items()) + "}"
        for change in record["remedies"]
    ]
    if not ways:
        return f"{needs}: nothing in `engine` makes it fit; take more GPUs, or larger ones"
    return f"{needs}: set `engine` to {' or '.join(ways)}"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
