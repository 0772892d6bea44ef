"""One small but real run of the whole workflow, made once and copied for each test."""

import email
import fcntl
import json
import os
import pydoc_data.topics
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT

HOUSE = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
Job = tuple[str, ...]


@dataclass(frozen=True)
class Workspace:
    """A checkout with its own config and results, and Snakemake run in it for real."""

    folder: Path

    @property
    def config_file(self) -> Path:
        return self.folder / "config/config.yaml"

    def config(self) -> dict[str, Any]:
        return yaml.safe_load(self.config_file.read_text())

    def write_config(self, values: Mapping[str, Any], sort_keys: bool = False) -> None:
        self.config_file.write_text(yaml.safe_dump(dict(values), sort_keys=sort_keys))

    def snakemake(
        self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder, capture_output=True, text=True,
            env={**_environment(), **(environment or {})},
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"snakemake failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def planned(self, *arguments: str) -> set[Job]:
        """The jobs that would run now, each as its rule followed by its wildcards' values."""
        return _jobs(self.snakemake("--dry-run", *arguments).stdout)

    def run(self) -> set[Job]:
        """Run what has to run; return those jobs."""
        done = self.snakemake()
        return _jobs(done.stdout + done.stderr)

    def contents(self) -> dict[str, bytes]:
        """The content records by path: what downstream jobs see."""
        return {
            file.relative_to(self.folder).as_posix(): file.read_bytes()
            for file in sorted((self.folder / "results").rglob("content.json"))
        }


def _environment() -> dict[str, str]:
    """The environment of a user who has not activated the one that Snakemake is in."""
    own = str(Path(sys.executable).parent)
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != own]
    return {**os.environ, "PATH": os.pathsep.join(path), "PYTHONPATH": ""}


def _jobs(output: str) -> set[Job]:
    jobs = set()
    for block in re.split(r"\n(?=(?:local)?(?:rule|checkpoint) )", output):
        if (rule := re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", block)) and rule[1] != "all":
            wildcards = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
            values = (
                [pair.split("=", 1)[1] for pair in wildcards[1].split(", ")] if wildcards else []
            )
            jobs.add((rule[1], *values))
    return jobs


def small_config(data: Path) -> dict[str, Any]:
    """All stages at the size of a test: three sources, three phases, a few thousand tokens."""
    phase = {"tokens": 8192, "batch_tokens": 1024, "context": 64, "max_epochs": 50}
    warmup = "Warmup(1e-3, 2K) -> Constant(1e-3)"
    rater = {"positive": ["prose"], "negative": ["code"], "epochs": 2, "buckets": 1000}
    problems = {"kind": "lm-eval", "items": "problems", "sources": ["problems"], "count": 4}
    return {
        "title": "a small run",
        "sources": {
            "prose": {
                "reader": "jsonl", "domain": "general", "shards": 2, "license": "PSF-2.0",
                "max_quarantined": 0.1,
                "paths": [str(data / "prose.jsonl")],
            },
            "code": {"reader": "text", "domain": "code", "paths": [str(data / "code/*.py")]},
            "problems": {"reader": "problems", "domain": "math", "count": 300},
        },
        "heldout": {"fraction": 0.2, "sample_bytes": 10_000},
        "raters": {"quality": rater},
        "deduplicate": {"preference": ["prose", "problems", "code"]},
        "select": {"general": {"bounds": {"gopher_words": [5, None]}}, "code": {}, "math": {}},
        "tokenizer": {"name": "small", "vocabulary": 400},
        "model": {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2},
        "mixtures": {
            "base": {"general": 0.8, "code": 0.1, "math": 0.1},
            "anneal": {"general": 0.4, "code": 0.3, "math": 0.3},
        },
        "phases": {
            "base": {"parent": None, "mixture": "base", "lr": warmup, **phase},
            "anneal": {"parent": "base", "mixture": "anneal", "lr": "Linear(0)", **phase},
            "control": {"parent": "base", "mixture": "base", "lr": "Linear(0)", **phase},
        },
        "evaluate": {
            "phases": ["anneal", "control"],
            "compare": {"anneal": ["control"]},
            "retention_domains": ["general"],
            "tasks": {
                "arithmetic": problems,
                "bits_per_byte": {"kind": "bits-per-byte", "documents_per_source": 4},
            },
        },
    }  # fmt: skip


def write_data(data: Path) -> None:
    """Real text: pydoc's topics as JSON lines, and a few modules of the standard library."""
    (data / "code").mkdir(parents=True)
    topics = sorted(pydoc_data.topics.topics.items())
    lines = [json.dumps({"text": text, "url": f"pydoc:{name}"}) for name, text in topics]
    (data / "prose.jsonl").write_text("\n".join([*lines, "{not json"]) + "\n")
    for module in (json, re, email):
        for file in sorted(Path(module.__file__).parent.glob("*.py"))[:12]:
            shutil.copy(file, data / "code" / f"{module.__name__}_{file.name}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Workspace:
    """The finished run, made by whichever test process comes first."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    workspace = Workspace(shared / "finished")
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished.done").exists():
            shutil.rmtree(workspace.folder, ignore_errors=True)
            workspace.folder.mkdir()
            check_out(workspace.folder)
            write_data(shared / "data")
            workspace.write_config(small_config(shared / "data"))
            workspace.snakemake()
            (shared / "finished.done").touch()
    return workspace


def check_out(folder: Path, leave: Collection[str] = ()) -> None:
    """Copy the house's files into ``folder`` as git does, with new times, but those to leave."""
    for file in (file for name in HOUSE for file in _files(ROOT / name)):
        name = file.relative_to(ROOT).as_posix()
        if name not in leave:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / name)


def _files(path: Path) -> list[Path]:
    """The path if it is a file, else the files below it, without what Python compiled."""
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and file.suffix != ".pyc"]


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished run, to be changed."""
    folder = tmp_path / "workspace"
    shutil.copytree(finished.folder, folder, symlinks=True)  # copy2: keeps modification times
    return Workspace(folder)
