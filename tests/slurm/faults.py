"""A small phase that takes its time, trained by `--profile slurm`, and its audit."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.common.artifact import Artifact
from tests.slurm.cluster import ACCOUNT, GPUS_PER_NODE, Cluster, wait
from tests.workflow.conftest import Workspace, small_config

STEPS = {"base": 600, "short": 3}
STEPS_BETWEEN_CHECKPOINTS = 40
PATIENCE = 240.0  # seconds for what takes some twenty on an idle machine

Snakemake = subprocess.Popen[bytes]


def configuration(data: Path) -> dict[str, Any]:
    """The small run, whose phase `base` takes long enough to be met by faults, and `short` not."""
    values = small_config(data)
    phase = values["phases"]["base"]
    batch = phase["batch_tokens"]
    values["phases"] |= {
        name: {
            **phase,
            "tokens": steps * batch,
            "checkpoint_tokens": STEPS_BETWEEN_CHECKPOINTS * batch,
            "max_epochs": 1000,
        }
        for name, steps in STEPS.items()
    }
    return values


def content(phase: str) -> str:
    return f"results/phases/{phase}/content.json"


@dataclass
class Site:
    """A workspace on a cluster, and the Snakemakes that were started in it."""

    workspace: Workspace
    cluster: Cluster
    _started: list[Snakemake] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def set_profile(self, train: dict[str, Any] | None = None, **changes: Any) -> None:
        """Change the profile, and what it asks for to train."""
        file = self.folder / "profiles/slurm/config.yaml"
        values = yaml.safe_load(file.read_text())
        values["set-resources"]["train_phase"] |= train or {}
        file.write_text(yaml.safe_dump(values | changes))

    def settle(self) -> None:
        """Set the SITE values, and ask after jobs more often than a site would like."""
        self.set_profile({"gpus_per_node": GPUS_PER_NODE})
        file = self.folder / "profiles/slurm/config.yaml"
        values = yaml.safe_load(file.read_text())
        values["default-resources"]["slurm_account"] = ACCOUNT
        file.write_text(yaml.safe_dump(values))
        self.set_profile(**{"latency-wait": 10, "slurm-init-seconds-before-status-checks": 2})

    def start(self, *arguments: str) -> Snakemake:
        """Start Snakemake, as on a login node."""
        with (self.folder / "snakemake.out").open("ab") as output:
            snakemake = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", *arguments],
                cwd=self.folder, env=self.cluster.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._started.append(snakemake)
        return snakemake

    def stop(self) -> None:
        for snakemake in self._started:
            snakemake.kill()
            snakemake.wait()

    def said(self) -> str:
        return (self.folder / "snakemake.out").read_text()

    def finish(self, snakemake: Snakemake) -> None:
        """Wait for Snakemake to end well."""
        assert snakemake.wait(PATIENCE) == 0, self.said()[-6000:]

    def wait_for_checkpoint(self, after: int = 0) -> int:
        """Wait until a checkpoint of `base` behind step ``after`` is there; return its step."""
        wait(lambda: self.last_checkpoint() > after, f"a checkpoint after {after}", PATIENCE)
        return self.last_checkpoint()

    def last_checkpoint(self) -> int:
        folders = self.folder.glob("results/phases/base/.run-*/step-*")
        return max((int(folder.name.removeprefix("step-")) for folder in folders), default=0)

    def jobs(self, rule: str = "train_phase") -> list[str]:
        """The ids of this workspace's jobs for a rule, oldest first."""
        shown = self.cluster.run("squeue", "--noheader", "--states=all", "--format=%i|%k|%Z")
        found = [line.split("|") for line in shown.splitlines()]
        return sorted(
            (
                job
                for job, told, folder in found
                if told.startswith(f"rule_{rule}") and folder == str(self.folder)
            ),
            key=int,
        )

    def log(self, phase: str = "base") -> str:
        """All that SLURM has kept of what training said, over all attempts."""
        folder = self.folder / f"results/logs/slurm/rule_train_phase/{phase}"
        files = sorted(folder.glob("*.log"), key=lambda file: int(file.stem))
        return "".join(file.read_text() for file in files)

    def resumptions(self, phase: str = "base") -> list[int]:
        """The steps from which training went on."""
        said = re.findall(rf"{phase}: goes on from step (\d+)", self.log(phase))
        return [int(step) for step in said]


def audit(site: Site, undisturbed: Workspace, phase: str = "base") -> None:
    """The phase is whole, and its bytes those of a run without a fault; each step is there once."""
    record = site.folder / content(phase)
    made = Artifact.load(record)
    made.verify()
    assert record.read_bytes() == (undisturbed.folder / content(phase)).read_bytes()
    lines = made.member("metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS[phase] + 1))
    assert not [file.name for file in record.parent.iterdir() if file.name.startswith(".")]
