"""What a corpus costs on a cluster: a closed formula over measured stages, and its answers.

``python -m tests.benchmarks.scale_simulation`` prints them beside what it finds itself. Shards are
of one size. Stages of a level run at the same time, and the next level begins when the last of
them is done: Snakemake waits for less, as a shard goes on where it can.

- A job in the queue holds the cores of its group for what the shard takes, Snakemake's starts on
  the node included, and longer by what nodes lose: a node that fails after a time that is
  exponential costs a job of d hours (exp(λd) - 1) / λ of them in the mean.
- A level takes what binds most of its cores, the jobs that may be in the queue, and the rate of
  submission; then half of its longest job, as the last ones do not end together. It never takes
  less than its longest job after the last submission.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

_HOUR = 3600.0


@dataclass(frozen=True)
class Stage:
    """The jobs of a rule, one for each shard, or one over all (``once``).

    start: processor seconds of a job before it reads anything. per_mb: those for 10**6 bytes of
    text. group: jobs that go to the cluster as one.
    """

    rule: str
    level: int
    start: float
    per_mb: float
    group: int = 1
    once: bool = False
    copies: int = 1  # of the rule's jobs for each shard


@dataclass(frozen=True)
class Cluster:
    """queue: jobs that may be in it at a time. submissions: per second. cycle: seconds from one
    look of the scheduler at the queue to the next. start: seconds that Snakemake takes on the node.
    failures: of a node, per hour.
    """

    nodes: int
    cores: int
    queue: int
    submissions: float
    cycle: float = 60.0
    start: float = 4.0
    failures: float = 1 / (1000 * 24)

    @property
    def all_cores(self) -> int:
        return self.nodes * self.cores


@dataclass(frozen=True)
class Batch:
    """Equal jobs as the cluster sees them: ``jobs`` that hold ``cores`` for ``seconds``."""

    rule: str
    jobs: int
    cores: int
    seconds: float


# Seconds of one core, as `scale_stages` measured them on 1 and 61 MB of prose and code; clusters by
# docs/curation.md, five seconds for a million documents, of 6 kB here. Groups are profiles/slurm's.
# Other jobs over all shards read samples or counts, and are left out.
STAGES = (
    Stage("collect_documents", 0, 1.05, 0.0146),
    Stage("annotate_attributes", 1, 1.47, 0.0159, group=16, copies=4),
    Stage("annotate_score", 1, 1.53, 0.0235, group=16),
    Stage("deduplicate_signatures", 1, 1.64, 0.0138, group=16),
    Stage("decontaminate_scan", 1, 1.85, 0.0044, group=16),
    Stage("deduplicate_clusters", 2, 1.60, 0.00083, once=True),
    Stage("select_documents", 3, 0.56, 0.0051, group=64),
    Stage("tokenize_tokenizer", 4, 8.1, 0.0, once=True),
    Stage("tokenize_tokens", 5, 1.40, 0.0268, group=16),
)


def batches(
    stages: Sequence[Stage], cluster: Cluster, shards: int, megabytes: float
) -> dict[int, list[Batch]]:
    """Return what each level submits for a corpus of ``megabytes`` in equal shards."""
    levels: dict[int, list[Batch]] = {}
    for stage in stages:
        jobs = (1 if stage.once else shards) * stage.copies
        share = megabytes if stage.once else megabytes / shards
        together = min(stage.group, jobs, cluster.cores)
        seconds = cluster.start + stage.start + stage.per_mb * share
        levels.setdefault(stage.level, []).append(
            Batch(stage.rule, math.ceil(jobs / together), together, seconds)
        )
    return dict(sorted(levels.items()))


def level_seconds(level: Sequence[Batch], cluster: Cluster) -> float:
    """Return the time from a level's first submission to the end of its last job."""
    lasting = [replace(one, seconds=_with_losses(one.seconds, cluster)) for one in level]
    longest = max(one.seconds for one in lasting)
    submitting = sum(one.jobs for one in level) / cluster.submissions
    bound = max(
        sum(one.jobs * one.cores * one.seconds for one in lasting) / cluster.all_cores,
        sum(one.jobs * (one.seconds + cluster.cycle / 2) for one in lasting) / cluster.queue,
        submitting,
    )
    at_once = min(sum(one.jobs for one in level), cluster.queue)
    last_wait = cluster.cycle * at_once / (at_once + 1)  # the longest of so many
    tail = longest / 2 if bound > longest else 0.0
    return last_wait + max(submitting + longest, bound + tail)


def _with_losses(seconds: float, cluster: Cluster) -> float:
    rate = cluster.failures / _HOUR
    return math.expm1(rate * seconds) / rate if rate else seconds


def makespan(
    stages: Sequence[Stage], cluster: Cluster, shards: int, megabytes: float
) -> dict[int, float]:
    """Return the seconds of each level."""
    levels = batches(stages, cluster, shards, megabytes)
    return {level: level_seconds(of_level, cluster) for level, of_level in levels.items()}


def core_seconds(stages: Sequence[Stage], shards: int, megabytes: float) -> float:
    """Return the processor time of all programs."""
    return sum(
        stage.copies * ((1 if stage.once else shards) * stage.start + stage.per_mb * megabytes)
        for stage in stages
    )
