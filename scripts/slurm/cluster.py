"""What a cluster has: partitions, what their nodes are, this user's accounts, SLURM's settings."""

import getpass
import re
from collections import defaultdict
from dataclasses import dataclass

from scripts.slurm.client import ask

_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d+):(\d+)")


@dataclass(frozen=True)
class Partition:
    """A partition: whether it takes jobs, its time limit in minutes (None: none), its nodes."""

    up: bool
    minutes: int | None
    nodes: tuple[str, ...]


def partitions() -> dict[str, Partition]:
    """Return the cluster's partitions by name; raises UserError if SLURM does not answer."""
    nodes = defaultdict(list)
    for line in ask("sinfo", "--noheader", "--format=%R|%D|%c|%m|%G|%T").splitlines():
        name, count, cpus, memory, gres, state = line.split("|")
        has = "" if gres == "(null)" else f", {gres}"
        nodes[name].append(f"{count} of {cpus} CPUs, {memory} MB{has} ({state})")
    found = {}
    for line in filter(None, ask("scontrol", "--oneliner", "show", "partition").splitlines()):
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        name = fields["PartitionName"]
        found[name] = Partition(
            fields["State"] == "UP", _minutes(fields["MaxTime"]), tuple(nodes[name])
        )
    return found


def _minutes(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:  # UNLIMITED
        return None
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + minutes


def user_accounts() -> dict[str, int | None]:
    """Return this user's accounts, each with how many jobs may be in the queue at a time.

    None stands for no limit of its own. Empty where the site keeps no accounts. Raises UserError if
    SLURM does not answer.
    """
    rows = ask(
        "sacctmgr", "--noheader", "--parsable2", "show", "associations",
        f"user={getpass.getuser()}", "format=Account%256,MaxSubmitJobs",
    )  # fmt: skip
    pairs = (row.split("|") for row in rows.splitlines())
    return {account: int(limit) if limit else None for account, limit in pairs}


def settings() -> dict[str, str]:
    """Return SLURM's own configuration; raises UserError if it does not answer."""
    return dict(re.findall(r"(?m)^(\w+)\s*= (.*?)\s*$", ask("scontrol", "show", "config")))
