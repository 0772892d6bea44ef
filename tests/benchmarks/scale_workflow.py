"""The workflow with as many shards as asked for, and a bare one of the same jobs: see `scale`."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.common.code import ROOT
from tests.benchmarks.timing import Cost, cost

SOURCES = ("good", "bad")
ANNOTATORS = ("gopher", "c4", "fineweb", "language")
JOBS_PER_SHARD = len(ANNOTATORS) + 6  # and to collect, rate, sign, scan, select, tokenize
_JOBS_OVER_ALL = 13

_FOLDER = Path(__file__).parent
_ITEM_EVERY = 50  # documents: an evaluation item is taken out of one
_ITEM_CHARACTERS = slice(100, 600)
_QUIET = ("--quiet", "rules", "host")
_JOBS_AT_A_TIME = 100  # as in profiles/slurm


def shards_of(jobs: int) -> int:
    """Return how many shards a source has where there are some ``jobs`` in all."""
    return max(1, round((jobs - _JOBS_OVER_ALL) / JOBS_PER_SHARD / len(SOURCES)))


@dataclass(frozen=True)
class Workflow:
    """A Snakefile and its settings in a folder of its own."""

    folder: Path
    snakefile: Path
    settings: tuple[str, ...]

    def snakemake(self, *arguments: str) -> Cost:
        return cost(self.command(*arguments), self.folder, {"PYTHONPATH": str(_FOLDER / "plugins")})

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile)),
            *("--directory", str(self.folder), *self.settings, *_QUIET, *arguments),
        ]

    def schedule(self) -> Cost:
        """Run all jobs by the executor that does nothing."""
        return self.snakemake("--executor", "instant", "--jobs", str(_JOBS_AT_A_TIME))

    def planned(self) -> dict[str, int]:
        """Return how many jobs of each rule are still to be run."""
        command = [one for one in self.command("--dry-run") if one not in _QUIET]
        done = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)
        jobs = re.findall(r"^rule (\w+):$", done.stdout, re.MULTILINE)
        return {rule: jobs.count(rule) for rule in sorted(set(jobs))}


def ours(folder: Path, shards: int, texts: Sequence[str] = (), house: Path = ROOT) -> Workflow:
    """Write a configuration of two sources with ``shards`` each, and deal out ``texts`` to them.

    ``house`` is the repository whose rules and programs it is for.
    """
    _write_documents(folder, shards, texts)
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(shards)))
    return Workflow(folder, house / "Snakefile", ("--configfile", str(folder / "config.yaml")))


def bare(folder: Path, shards: int) -> Workflow:
    _write_documents(folder, shards)
    return Workflow(folder, _FOLDER / "bare.smk", ("--config", f"shards={shards}"))


def _write_documents(folder: Path, shards: int, texts: Sequence[str] = ()) -> None:
    for at, source in enumerate(SOURCES):
        (folder / "data" / source).mkdir(parents=True)
        for shard in range(shards):
            mine = texts[len(SOURCES) * shard + at :: len(SOURCES) * shards]
            lines = "".join(json.dumps({"text": text}) + "\n" for text in mine)
            (folder / "data" / source / f"{shard}.jsonl").write_text(lines)
    items = [json.dumps({"text": text[_ITEM_CHARACTERS]}) for text in texts[::_ITEM_EVERY]]
    (folder / "items.jsonl").write_text("\n".join(items) + "\n")


def _config(shards: int) -> dict[str, object]:
    """Curation with four annotators and a rater, and the least of all that follows."""
    return {
        "title": f"{shards} shards of each source",
        "sources": {
            name: {
                "reader": "jsonl", "paths": [f"data/{name}"], "domain": "general", "shards": shards,
            }
            for name in SOURCES
        },
        "heldout": {"fraction": 0.1, "sample_bytes": 10_000},
        "raters": {
            "quality": {"positive": ["good"], "negative": ["bad"], "epochs": 1, "buckets": 1000}
        },
        "deduplicate": {"preference": list(SOURCES)},
        "decontaminate": {
            "benchmarks": {"items": {"paths": ["items.jsonl"], "fields": ["text"]}}
        },
        "select": {
            "general": {
                "rules": ["gopher_repetition"],
                "bounds": {
                    "c4_sentences": [0, None], "fineweb_short_lines": [0, None],
                    "quality": [0, None],
                },
                "languages": ["en"],
            }
        },
        "tokenizer": {"name": "small", "vocabulary": 400},
        "model": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2},
        "mixtures": {"all": {"general": 1.0}},
        "phases": {
            "anneal": {
                "parent": None, "mixture": "all", "tokens": 8192, "batch_tokens": 1024,
                "context": 64, "max_epochs": 50, "lr": "Constant(1e-3)",
            }
        },
        "evaluate": {
            "phases": ["anneal"], "compare": {}, "retention_domains": [],
            "tasks": {"bits_per_byte": {"kind": "bits-per-byte"}},
        },
    }  # fmt: skip
