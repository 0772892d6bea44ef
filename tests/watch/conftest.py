"""A small workflow of real jobs, watched as the real one is: by `rules/watch.smk`."""

import subprocess
import sys
from dataclasses import dataclass
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

    def snakemake(self, rules: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``rules``, quietly as the profiles do, and go on when a job fails."""
        return subprocess.run(
            self.command(rules, *arguments), cwd=self.folder, capture_output=True, text=True
        )

    def command(self, rules: str, *arguments: str) -> list[str]:
        (self.folder / "Snakefile").write_text(_HEAD + rules + _TAIL)
        options = ["--cores", "2", "--keep-going", "--quiet", "rules", "host", *arguments]
        return [sys.executable, "-m", "snakemake", *options]

    def tell(self, *arguments: str) -> str:
        """What `python -m scripts.watch` says in the folder."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.watch", *arguments],
            cwd=self.folder, capture_output=True, text=True, check=True,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        ).stdout  # fmt: skip

    def history(self) -> History:
        return History.latest()


@pytest.fixture
def watched(workdir: Path) -> Watched:
    return Watched(workdir)
