"""A small workflow of real jobs, watched as the real one is: by `rules/watch.smk`."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.common.code import ROOT
from scripts.watch.history import History

_HEAD = f"""\
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
environment = "export GREETING=hello"
shell.prefix(f"set -euo pipefail; {{environment}}; ")
"""
_TAIL = f"""
include: {str(ROOT / "rules/watch.smk")!r}
"""


@dataclass(frozen=True)
class Watched:
    """A folder with a workflow, and Snakemake run in it for real."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def snakemake(self, rules: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``rules``, quietly as the profiles do, and go on when a job fails."""
        return subprocess.run(
            self.command(rules, *arguments), cwd=self.folder, env=self.environment,
            capture_output=True, text=True,
        )  # fmt: skip

    def command(self, rules: str, *arguments: str) -> list[str]:
        (self.folder / "Snakefile").write_text(_HEAD + rules + _TAIL)
        options = ["--cores", "2", "--keep-going", "--quiet", "rules", "host", *arguments]
        return [sys.executable, "-m", "snakemake", *options]

    def tell(self, *arguments: str) -> str:
        """What `python -m scripts.watch` says in the folder."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.watch", *arguments],
            cwd=self.folder, capture_output=True, text=True, check=True,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
        ).stdout  # fmt: skip

    def history(self) -> History:
        return History.latest()


def failures(output: str) -> list[str]:
    """The messages about failed jobs, each with the lines that are indented below it."""
    return re.findall(r"^FAILED: .*(?:\n  .*)*", output, re.MULTILINE)


@pytest.fixture
def watched(workdir: Path) -> Watched:
    return Watched(workdir)
