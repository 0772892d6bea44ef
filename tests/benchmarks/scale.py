"""What Snakemake costs with thousands of jobs, ours beside a bare workflow: ``make bench-scale``.

The real Snakefile over a configuration of many shards, and `bare.smk`, which has the same jobs with
the same inputs and outputs and nothing else. Jobs are run by an executor that does nothing in no
time, so that the records which a later start reads are Snakemake's own. What both cost is measured
in turn; a figure is the median of the runs, a ratio that of the pairs. ``--real N`` runs the real
programs of N jobs on this machine and compares what they take with the model's answer.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

from tests.benchmarks import scale_stages  # noqa: E402
from tests.benchmarks.scale_workflow import Workflow, bare, ours, shards_of  # noqa: E402
from tests.benchmarks.timing import Cost  # noqa: E402

_FIRST_JOB = "annotate_attributes:source=good,annotator=gopher,shard=0"
_HEADER = (
    "jobs", "what", "ours, s", "bare, s", "ratio", "ours, MB", "bare, MB", "ours, ms a job"
)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000, 30_000])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--real", type=int, metavar="JOBS")
    given = options.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; processor time\n")
    print("| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER), sep="\n")
    for jobs in given.jobs:
        with TemporaryDirectory() as folder:
            for line in measured(Path(folder), jobs, given.runs):
                print(line, flush=True)
    if given.real:
        with TemporaryDirectory() as folder:
            print("\n" + scale_stages.real(Path(folder), given.real), flush=True)


def measured(folder: Path, jobs: int, runs: int) -> list[str]:
    """Return rows for a first plan, all jobs, and a start with nothing to do."""
    pair = ours(folder / "ours", shards_of(jobs)), bare(folder / "bare", shards_of(jobs))
    planned = [workflow.planned() for workflow in pair]
    if planned[0] != planned[1]:
        raise AssertionError(f"the bare workflow has other jobs: {planned}")
    total = sum(planned[0].values())
    rows = [
        _row(total, "dry run of all", _in_turn(pair, lambda one: one.snakemake("--dry-run"), runs)),
        _row(total, "run, by nobody", _in_turn(pair, Workflow.schedule, 1)),
        _row(total, "nothing to do", _in_turn(pair, lambda one: one.snakemake("--dry-run"), runs)),
        _row(total, "reading the rules", _in_turn(pair, _list_rules, runs)),
        _row(total, "a job's own start", _in_turn(pair, _job_start, runs)),
    ]
    if any(left := [workflow.planned() for workflow in pair]):
        raise AssertionError(f"after all jobs there is still something to do: {left}")
    return rows


def _list_rules(workflow: Workflow) -> Cost:
    return workflow.snakemake("--list-rules")


def _job_start(workflow: Workflow) -> Cost:
    """Plan one job as Snakemake does on a node of a cluster, but for running it."""
    return workflow.snakemake(
        *("--target-jobs", _FIRST_JOB, "--allowed-rules", "annotate_attributes"),
        *("--mode", "remote", "--force", "--nolock", "--dry-run"),
    )


def _in_turn(
    pair: Sequence[Workflow], work: Callable[[Workflow], Cost], runs: int
) -> list[tuple[Cost, Cost]]:
    return [(work(pair[0]), work(pair[1])) for _ in range(runs)]


def _row(jobs: int, what: str, costs: Sequence[tuple[Cost, Cost]]) -> str:
    mine, theirs = (statistics.median(pair[side].processor for pair in costs) for side in range(2))
    ratio = statistics.median(mine.processor / theirs.processor for mine, theirs in costs)
    memory = [max(pair[side].peak_bytes for pair in costs) / 1e6 for side in range(2)]
    return (
        f"| {jobs:,} | {what} | {mine:.1f} | {theirs:.1f} | {ratio:.2f}x "
        f"| {memory[0]:,.0f} | {memory[1]:,.0f} | {1000 * mine / jobs:.2f} |"
    )


if __name__ == "__main__":
    main()
