"""What each program takes, to start and for a MB of text; and whether that adds up to a real run.

``python -m tests.benchmarks.scale_stages`` runs all programs of `scale_workflow`'s configuration
one after the other, on one core, on little text and on more, and prints the line through both.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"  # before any library counts the cores

from tests.benchmarks.corpus import prose_and_code, size  # noqa: E402
from tests.benchmarks.scale_model import STAGES, core_seconds  # noqa: E402
from tests.benchmarks.scale_workflow import SOURCES, ours, shards_of  # noqa: E402

_LITTLE, _MUCH = 1.0, 60.0  # MB
_REAL_MEGABYTES = 9.0  # some 20 documents for each of a thousand jobs' shards


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=float, default=_MUCH)
    little, much = _LITTLE, options.parse_args().megabytes
    with TemporaryDirectory() as folder:
        few, many = (metered(Path(folder, str(size)), size) for size in (little, much))
    print("| rule | jobs | start, s | s/MB |", "|---|---|---|---|", sep="\n")
    for rule, seconds in many.items():
        jobs = len(seconds)
        per_megabyte = (sum(seconds) - sum(few[rule])) / (much - little)
        start = (sum(few[rule]) - per_megabyte * little) / jobs
        print(f"| {rule} | {jobs} | {start:.2f} | {per_megabyte:.4f} |")


def metered(folder: Path, megabytes: float) -> Mapping[str, list[float]]:
    """Run all jobs over one shard of each source; return the processor seconds of each rule's."""
    workflow = ours(folder, 1, prose_and_code(megabytes))
    workflow.snakemake("--executor", "metered", "--jobs", "1")
    found: dict[str, list[float]] = defaultdict(list)
    for line in (folder / "metered.jsonl").read_text().splitlines():
        record = json.loads(line)
        found[record["rule"]].append(record["processor"])
    return found


def real(folder: Path, jobs: int) -> str:
    """Run so many jobs' real programs on two cores; return what they took beside the model's."""
    texts = prose_and_code(_REAL_MEGABYTES)
    shards = shards_of(jobs)
    workflow = ours(folder, shards, texts)
    taken = workflow.snakemake("--cores", "2")
    if left := workflow.planned():
        raise AssertionError(f"after a whole run there is still something to do: {left}")
    megabytes = size(texts) / 1e6
    programs = core_seconds(STAGES, len(SOURCES) * shards, megabytes)
    return (
        f"{jobs:,} real jobs, {megabytes:.0f} MB: {taken.processor:,.0f} s of processor time, "
        f"{taken.wall:,.0f} s on two cores; the model's programs take {programs:,.0f} s"
    )


if __name__ == "__main__":
    main()
