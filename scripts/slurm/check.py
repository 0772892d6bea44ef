"""Tell what this site's SLURM would refuse of the workflow's jobs, before any is submitted.

``make check-slurm``, or ``python -m scripts.slurm.check --profile profiles/slurm``, on the login
node. What is asked for comes from a dry run of the workflow with the profile; what there is, from
SLURM. Each request is put to `sbatch --test-only`, which submits nothing. ``--probe`` submits one
job of a minute to each partition, to see whether its nodes find this folder and this Python.

Ends with status 1 if something would fail.
"""

import argparse
import importlib.metadata
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common.code import ROOT
from scripts.common.command import run
from scripts.slurm import cluster
from scripts.slurm.client import ask, attempt
from scripts.slurm.probe import probe
from scripts.slurm.requests import Profile, Request

_CLIENTS = ("sbatch", "scancel", "squeue", "sinfo", "scontrol", "sacct", "sacctmgr")
_SNAKEMAKE = ("snakemake", "snakemake-executor-plugin-slurm")
# What the plugin makes options of sbatch of.
_ASKED = (
    "slurm_account", "slurm_partition", "qos", "constraint", "runtime", "threads", "mem_mb",
    "mem_mb_per_cpu", "nodes", "tasks", "gpu", "gpu_model", "gres", "slurm_extra",
)  # fmt: skip
# The plugin asks squeue where there is no accounting, and must do so before a job is forgotten.
_LEAST_JOB_AGE = 120


@dataclass(frozen=True)
class Fault:
    """Something that would fail, and what to do about it."""

    what: str
    remedy: str


Check = Callable[["Site"], Iterator[Fault]]


@dataclass(frozen=True)
class Site:
    """What the checks look at."""

    profile: Profile
    requests: Sequence[Request]
    partitions: dict[str, cluster.Partition]
    accounts: dict[str, int | None]
    settings: dict[str, str]

    @classmethod
    def read(cls, profile: Profile, configfiles: Sequence[Path]) -> "Site":
        return cls(
            profile=profile,
            requests=profile.requests(configfiles),
            partitions=cluster.partitions(),
            accounts=cluster.user_accounts(),
            settings=cluster.settings(),
        )

    def by_value(self, resource: str) -> dict[str, list[Request]]:
        """Return the requests by what they ask for of one resource, without those that do not."""
        found = defaultdict(list)
        for request in self.requests:
            if resource in request.resources:
                found[str(request.resources[resource])].append(request)
        return found

    def partition(self, request: Request) -> cluster.Partition | None:
        return self.partitions.get(str(request.resources.get("slurm_partition")))

    def may_charge(self, account: object) -> bool:
        """Whether an account is this user's; any is where the site keeps none."""
        return not self.accounts or str(account).lower() in map(str.lower, self.accounts)

    def place(self, requests: Sequence[Request], resource: str) -> str:
        """Return where the profile says what these requests ask for of a resource."""
        own = self.profile.values.get("set-resources", {})
        rules = sorted({one.rule for one in requests if resource in own.get(one.rule, {})})
        return f"set-resources.{'/'.join(rules)}" if rules else "default-resources"


def installed() -> Iterator[Fault]:
    """Check this environment and this machine, before SLURM is asked anything."""
    locked = dict(
        line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line
    )  # fmt: skip
    for package in _SNAKEMAKE:
        version = importlib.metadata.version(package)
        if version != locked[package]:
            yield Fault(
                f"{package} is {version}, and what is tested is {locked[package]}",
                "install requirements.lock: `make` does in .venv",
            )
    for client in _CLIENTS:
        if shutil.which(client) is None:
            yield Fault(
                f"{client} is not on the PATH",
                "log in to a node from which jobs are submitted, or load the site's SLURM module",
            )


def linked(profile: Profile) -> Iterator[Fault]:
    """Check that `snakemake --profile slurm` finds this profile."""
    home = Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser()
    link = home / "snakemake" / "slurm"
    if not link.exists() or not link.samefile(profile.folder):
        yield Fault(
            f"{link} is not a link to {profile.folder}, so that `--profile slurm` does not find it",
            f"mkdir -p {link.parent} && ln -sfn {profile.folder.resolve()} {link}",
        )


def accounting(site: Site) -> Iterator[Fault]:
    """Check that Snakemake can ask what became of a job."""
    if not site.settings["AccountingStorageType"].endswith("none"):
        ask("sacct", "--allocations", "--noheader")  # raises if it does not answer
        return
    age = int(re.match(r"\d+", site.settings["MinJobAge"])[0])  # type: ignore[index]
    if age < _LEAST_JOB_AGE:
        yield Fault(
            f"this site keeps no accounts of jobs, and forgets one after {age} s (MinJobAge)",
            f"ask the site for slurmdbd, or for MinJobAge={_LEAST_JOB_AGE} or more",
        )


def accounts(site: Site) -> Iterator[Fault]:
    for account, requests in site.by_value("slurm_account").items():
        if not site.may_charge(account):
            yield Fault(
                f"account {account!r} ({_named(requests)}) is none of yours: "
                f"{', '.join(sorted(site.accounts))}",
                f"set {site.place(requests, 'slurm_account')}.slurm_account in the profile",
            )


def partitions(site: Site) -> Iterator[Fault]:
    for name, requests in site.by_value("slurm_partition").items():
        partition = site.partitions.get(name)
        if partition is None:
            yield Fault(
                f"partition {name!r} ({_named(requests)}) is none of this cluster's: "
                f"{', '.join(sorted(site.partitions))}",
                f"set {site.place(requests, 'slurm_partition')}.slurm_partition in the profile",
            )
        elif not partition.up:
            yield Fault(
                f"partition {name!r} ({_named(requests)}) takes no jobs: it is not UP",
                "wait for the site, or set another slurm_partition in the profile",
            )


def runtimes(site: Site) -> Iterator[Fault]:
    """Check time limits, beyond which many sites let a job wait for ever."""
    for request in site.requests:
        partition, minutes = site.partition(request), request.resources.get("runtime", 0)
        if partition and partition.minutes is not None and minutes > partition.minutes:
            yield Fault(
                f"{request} asks for {minutes} minutes, and partition "
                f"{request.resources['slurm_partition']!r} allows {partition.minutes}",
                f"lower {site.place([request], 'runtime')}.runtime in the profile, or the group's "
                "group-components; training goes on from its last checkpoint when it is run again",
            )


def submissions(site: Site) -> Iterator[Fault]:
    """Put each request to SLURM itself, but those whose account or partition is wrong anyway."""
    refused = defaultdict(list)
    for request in site.requests:
        wanted = request.resources
        known = site.partition(request) or "slurm_partition" not in wanted
        if known and ("slurm_account" not in wanted or site.may_charge(wanted["slurm_account"])):
            done = attempt([*request.command(), "--test-only", "--wrap", "true"])
            if done.returncode:
                refused[done.stderr.strip().splitlines()[-1], _asked(request)].append(request)
    for (refusal, asked), requests in refused.items():
        partition = site.partition(requests[0])
        nodes = f"; the partition's nodes: {'; '.join(partition.nodes)}" if partition else ""
        yield Fault(
            f"SLURM refuses {_named(requests)}: {refusal.removeprefix('allocation failure: ')}",
            f"change in the profile what is asked for, {asked}{nodes}",
        )


def queue(site: Site) -> Iterator[Fault]:
    jobs = site.profile.values.get("jobs")
    for account in site.by_value("slurm_account"):
        limit = site.accounts.get(account)
        if limit is not None and isinstance(jobs, int) and jobs > limit:
            yield Fault(
                f"the profile keeps up to {jobs} jobs in the queue, and account {account!r} allows "
                f"{limit}",
                f"set `jobs: {limit}` in the profile",
            )


def probes(site: Site) -> Iterator[Fault]:
    """Run a job in each partition that there is."""
    for name, requests in site.by_value("slurm_partition").items():
        if name in site.partitions:
            fault = probe(max(requests, key=lambda one: one.resources.get("gpu", 0)))
            if fault:
                yield Fault(
                    f"a job in partition {name!r}: {fault}",
                    "install the environment and run the workflow on a file system that the "
                    "nodes share, under the same path; for a GPU, a torch with CUDA",
                )


CHECKS: Sequence[tuple[str, Check]] = (
    ("SLURM tells what became of a job", accounting),
    ("accounts", accounts),
    ("partitions", partitions),
    ("time limits", runtimes),
    ("what the jobs ask for, by sbatch --test-only", submissions),
    ("jobs in the queue", queue),
)


def _named(requests: Sequence[Request]) -> str:
    names = sorted({str(request) for request in requests})
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _asked(request: Request) -> str:
    asked = {"threads": request.threads, **request.resources}
    return ", ".join(f"{name}={asked[name]}" for name in _ASKED if name in asked)


def main() -> None:
    arguments = _arguments()
    print(f"profile {arguments.profile}")
    profile = Profile(arguments.profile)
    failed = _tell("Snakemake, its plugin, SLURM's clients", installed())
    failed += _tell("`snakemake --profile slurm`", linked(profile))
    if shutil.which("scontrol"):
        site = Site.read(profile, arguments.configfile)
        failed += sum(_tell(name, check(site)) for name, check in CHECKS)
        if arguments.probe:
            failed += _tell("a job in each partition", probes(site))
    if failed:
        sys.exit(f"faults found: {failed}; jobs would fail")


def _tell(name: str, faults: Iterator[Fault]) -> int:
    """Print what a check found; return how much that is."""
    found = list(faults)
    print(f"{'no' if found else 'ok':<4}{name}")
    for fault in found:
        print(f"    - {fault.what}\n      remedy: {fault.remedy}")
    return len(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.slurm.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", type=Path, default=ROOT / "profiles/slurm")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        help="as for Snakemake (default: the demo)",
    )
    parser.add_argument(
        "--probe", action="store_true", help="submit a job of a minute to each partition"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
