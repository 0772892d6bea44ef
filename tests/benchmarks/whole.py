"""The whole of annotate to select, as Snakemake runs it, beside datatrove; and how it grows.

Both get the same documents, evaluation items and fastText rater, and every step of both sees all
documents. Ours computes the languages too, which datatrove is spared. A figure is the processor
time of everything that ran, Snakemake and the start of each program included.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from scripts.common.code import ROOT
from tests.benchmarks import rating
from tests.benchmarks.corpus import size
from tests.benchmarks.timing import Cost, Row, cost

_ITEM_EVERY = 50  # documents: an evaluation item is taken out of one
_ITEM_CHARACTERS = slice(100, 600)
_PEER_MEGABYTES = 4  # datatrove reads about a megabyte in five seconds


def rows(texts: list[str]) -> list[Row]:
    with TemporaryDirectory() as folder:
        work = Path(folder)
        rater = rating.train(work, texts)
        few = texts[:: max(1, round(size(texts) / 1e6 / _PEER_MEGABYTES))]
        ours = size(texts) / 1e6 / curate(work / "ours", texts, rater).processor
        theirs = size(few) / 1e6 / _datatrove(work / "theirs", few, rater)
    return [Row("annotate to select", "datatrove", "MB", ours, theirs, 10)]


def growth(texts: list[str]) -> str:
    """Return a table of time and memory for a sixteenth, a quarter and all, and two processes."""
    lines = ["| MB | processes | processor s | wall s | largest process MB |", "|" + "---|" * 5]
    with TemporaryDirectory() as folder:
        rater = rating.train(Path(folder), texts)
        for every, cores in ((16, 1), (4, 1), (1, 1), (1, 2)):
            part = texts[::every]
            took = curate(Path(folder, f"{every}-{cores}"), part, rater, cores)
            lines.append(
                f"| {size(part) / 1e6:,.0f} | {cores} | {took.processor:,.1f} | {took.wall:,.1f} "
                f"| {took.peak_bytes / 1e6:,.0f} |"
            )
    return "\n".join(lines)


def curate(folder: Path, texts: list[str], rater: Path, cores: int = 1) -> Cost:
    """Collect ``texts``, then measure what follows up to their selection."""
    shards = 2
    _write_lines(folder / "documents.jsonl", texts)
    _write_lines(folder / "items.jsonl", _items(texts))
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(folder, rater, shards)))
    targets = [f"results/documents/corpus/{shard}/content.json" for shard in range(shards)]
    _snakemake(folder, targets, 2)
    targets = [f"results/selected/corpus/{shard}/content.json" for shard in range(shards)]
    used = _snakemake(folder, targets, cores)
    records = [json.loads(file.read_text()) for file in folder.rglob("provenance.json")]
    later = [one for one in records if "scripts.collect" not in " ".join(one["command"])]
    peak = max(record["peak_memory_bytes"] for record in later)
    return Cost(used.processor, used.wall, peak)


def _datatrove(folder: Path, texts: list[str], rater: Path) -> float:
    """Return the processor seconds that datatrove takes."""
    _write_lines(folder / "documents.jsonl", texts)
    _write_lines(folder / "items.jsonl", _items(texts))
    files = [folder / "documents.jsonl", folder / "items.jsonl", rater, folder / "work"]
    module = "tests.benchmarks.datatrove_pipeline"
    return cost([sys.executable, "-m", module, *map(str, files)], ROOT).processor


def _items(texts: list[str]) -> list[str]:
    return [text[_ITEM_CHARACTERS] for text in texts[::_ITEM_EVERY]]


def _write_lines(path: Path, texts: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        for number, text in enumerate(texts):
            stream.write(json.dumps({"id": str(number), "text": text}) + "\n")


def _snakemake(folder: Path, targets: list[str], cores: int) -> Cost:
    """Make the targets in ``folder``."""
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--configfile", str(folder / "config.yaml")),
        *("--cores", str(cores), *targets),
    ]
    return cost(command, folder)


def _config(folder: Path, rater: Path, shards: int) -> dict[str, object]:
    """A configuration of curation alone, but for what every one must have."""
    return {
        "title": "curation",
        "sources": {
            "corpus": {
                "reader": "jsonl", "paths": [str(folder / "documents.jsonl")],
                "domain": "general", "shards": shards,
            }
        },
        "heldout": {"fraction": 0.0},
        "raters": {"quality": {"path": str(rater), "label": "good"}},
        "deduplicate": {"preference": ["corpus"]},
        "decontaminate": {
            "benchmarks": {"items": {"paths": [str(folder / "items.jsonl")], "fields": ["text"]}}
        },
        "select": {
            "general": {
                "rules": ["gopher_quality", "gopher_repetition", "c4", "fineweb"],
                "bounds": {"quality": [0.05, None]},
                "languages": ["en"],
            }
        },
        "tokenizer": {"name": "unused", "vocabulary": 400},
        "mixtures": {"all": {"general": 1.0}},
        "phases": {
            "unused": {"parent": None, "mixture": "all", "tokens": "1M", "lr": "Constant(1e-3)"}
        },
        "evaluate": {
            "phases": ["unused"], "compare": {}, "retention_domains": [],
            "tasks": {"bits": {"kind": "bits-per-byte"}},
        },
    }  # fmt: skip
