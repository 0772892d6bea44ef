"""What Snakemake would ask SLURM for: a request for each kind of job, found by a dry run."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from snakemake.resources import GroupResources
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from scripts.common.code import ROOT
from scripts.common.errors import UserError

# The jobs of a group are indented.
_JOB = re.compile(
    r"^(?P<indent> *)rule (?P<rule>\w+):$(?P<lines>(?:\n(?P=indent)    .*$)*)", re.MULTILINE
)
_LINE = re.compile(r"^ +(output|threads|resources): (.*)$", re.MULTILINE)
_BETWEEN = re.compile(r", (?=\w+=)")  # resources are told as `runtime=60, gpu=1`

_UNKNOWN = {"<TBD>", "None"}  # the first: it depends on inputs that are not made yet
_NO_LIMIT = 1 << 20  # of cores: a dry run cuts threads to what this machine may use


class Resources(dict[str, Any]):
    """Resources as the plugin reads them: by key and by attribute."""

    __getattr__ = dict.__getitem__


@dataclass(frozen=True)
class Request:
    """What one job of SLURM's asks for: a rule's, or as many of them as the profile groups."""

    rule: str
    jobs: int
    threads: int
    resources: Resources

    def __str__(self) -> str:
        return self.rule if self.jobs == 1 else f"{self.rule} (groups of {self.jobs})"

    def command(self) -> list[str]:
        """Return the plugin's own `sbatch` for it, without the program."""
        account, partition = map(self.resources.get, ("slurm_account", "slurm_partition"))
        text = get_submit_command(
            self,
            {
                "run_uuid": "check",
                "slurm_logfile": "/dev/null",
                "comment_str": f"rule_{self.rule}",
                "account": f"-A {shlex.quote(str(account))}" if account else "",
                "partition": f"-p {shlex.quote(str(partition))}" if partition else "",
                "workdir": Path.cwd(),
            },
        )
        return shlex.split(text + set_gres_string(self))


class Profile:
    """The profile's folder, read for what decides what is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "config.yaml"
        try:
            self.values = yaml.safe_load(file.read_text())
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error}): name a profile's folder") from None
        except yaml.YAMLError as error:
            raise UserError(f"{file} is no YAML: {error}") from None

    def requests(self, configfiles: Sequence[Path]) -> list[Request]:
        """Return what the workflow's jobs ask for, the equal ones once.

        Raises UserError if Snakemake does not plan them.
        """
        counts: Counter[tuple[str, int, frozenset[tuple[str, Any]]]] = Counter()
        for job in _JOB.finditer(self._dry_run(configfiles)):
            lines = dict(_LINE.findall(job["lines"]))
            if "output" not in lines:  # `all`, which is no job of SLURM's
                continue
            pairs = (pair.split("=", 1) for pair in _BETWEEN.split(lines["resources"]))
            resources = frozenset(
                (name, _number(value)) for name, value in pairs if value not in _UNKNOWN
            )
            counts[job["rule"], int(lines.get("threads", 1)), resources] += 1
        return [
            self._grouped(Request(rule, 1, threads, Resources(resources)), count)
            for (rule, threads, resources), count in counts.items()
        ]

    def _dry_run(self, configfiles: Sequence[Path]) -> str:
        command = [
            sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
            "--profile", str(self.folder.resolve()), "--dry-run", "--forceall", "--quiet", "host",
            "--cores", str(_NO_LIMIT),
        ]  # fmt: skip
        if configfiles:
            command += ["--configfile", *map(str, configfiles)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise UserError(f"Snakemake does not plan the workflow:\n{said[-2000:]}")
        return done.stdout

    def _grouped(self, request: Request, count: int) -> Request:
        """Return what a group of such jobs asks for, by Snakemake's own reckoning."""
        group = self.values.get("groups", {}).get(request.rule)
        jobs = min(count, self.values.get("group-components", {}).get(group, 1))
        if jobs == 1:
            return request
        alike = SimpleNamespace(
            resources={**request.resources, "_cores": request.threads}, pipe_group=None
        )
        limits = {**self.values.get("resources", {}), "_cores": self.values.get("cores")}
        constraints = _Limits(limits)
        merged = GroupResources.basic_layered([[alike] * jobs], constraints, run_local=False)
        threads = merged.pop("_cores")
        return Request(request.rule, jobs, threads, Resources(merged))


class _Limits:
    """Limits of resources as Snakemake asks for them; None where there is none."""

    def __init__(self, values: dict[str, int | None]) -> None:
        self._values = values

    def get(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(value=self._values.get(name))


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
