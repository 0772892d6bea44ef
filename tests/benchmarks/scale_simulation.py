"""A cluster event by event: what the formula of `scale_model` is checked against.

Jobs are submitted one after the other, wait for a place in the queue, for the scheduler and for
cores, first come first served, and run for a time that differs from shard to shard. Nodes fail at
random and take the job on them along, which is submitted again.

``python -m tests.benchmarks.scale_simulation`` prints both for the cases of docs/scaling.md.
"""

import random
import statistics
from collections.abc import Iterator, Sequence

import simpy

from tests.benchmarks.scale_model import STAGES, Batch, Cluster, batches, core_seconds, makespan

_HOUR = 3600.0
_SPREAD = 0.2  # the standard deviation of the logarithm of a job's time
_SEEDS = range(20)
_WITHIN = 0.10  # how far formula and simulation may be apart

_NODES = Cluster(nodes=200, cores=64, queue=100, submissions=20)
_FEW = Cluster(nodes=20, cores=64, queue=400, submissions=2)
# What is asked: a corpus in MB, its shards, the cluster or the part of it that the run has.
_CASES = (
    ("1 TB, queue 100", 1e6, 400, _NODES),
    ("10 TB, queue 100", 1e7, 1000, _NODES),
    ("10 TB, queue 1,000", 1e7, 1000, Cluster(nodes=200, cores=64, queue=1000, submissions=20)),
    ("10 TB on 20 nodes, queue 400", 1e7, 1000, _FEW),
    ("10 TB on 10 nodes, queue 400", 1e7, 1000, Cluster(10, 64, 400, 2)),
    ("10 TB on 20 nodes that fail daily", 1e7, 1000, Cluster(20, 64, 400, 2, failures=1 / 24)),
    ("10 TB on 4 nodes, queue 400", 1e7, 1000, Cluster(4, 64, 400, 2)),
)


def simulated(levels: Sequence[Sequence[Batch]], cluster: Cluster, seed: int) -> float:
    """Return the seconds from the first submission to the end of the last job of all levels."""
    environment = simpy.Environment()
    run = _Run(environment, cluster, random.Random(seed))
    environment.run(environment.process(run.levels(levels)))
    return float(environment.now)


class _Run:
    def __init__(
        self, environment: simpy.Environment, cluster: Cluster, chance: random.Random
    ) -> None:
        self._environment = environment
        self._cluster = cluster
        self._chance = chance
        self._queue = simpy.Resource(environment, cluster.queue)
        self._cores = simpy.Container(environment, cluster.all_cores, cluster.all_cores)

    def levels(self, levels: Sequence[Sequence[Batch]]) -> Iterator[simpy.Event]:
        for level in levels:
            jobs = [batch for batch in level for _ in range(batch.jobs)]
            running = []
            for job in jobs:
                place = self._queue.request()
                yield place
                running.append(self._environment.process(self._job(job, place)))
                yield self._environment.timeout(1 / self._cluster.submissions)
            yield self._environment.all_of(running)

    def _job(self, job: Batch, place: simpy.resources.resource.Request) -> Iterator[simpy.Event]:
        cluster, environment = self._cluster, self._environment
        # Of mean one; a job over all shards does not know how unequal they are.
        alone = job.jobs == 1
        spread = 1 if alone else self._chance.lognormvariate(-(_SPREAD**2) / 2, _SPREAD)
        done = False
        while not done:
            yield environment.timeout(self._chance.uniform(0, cluster.cycle))
            yield self._cores.get(job.cores)
            seconds = job.seconds * spread
            lasts = self._chance.expovariate(cluster.failures / _HOUR)
            done = lasts >= seconds
            yield environment.timeout(min(lasts, seconds))
            yield self._cores.put(job.cores)
        self._queue.release(place)


def main() -> None:
    print(
        "| case | cores | core hours | formula, h | simulation, h | apart |",
        "|" + "---|" * 6,
        sep="\n",
    )
    for name, megabytes, shards, cluster in _CASES:
        formula = sum(makespan(STAGES, cluster, shards, megabytes).values())
        levels = list(batches(STAGES, cluster, shards, megabytes).values())
        found = statistics.mean(simulated(levels, cluster, seed) for seed in _SEEDS)
        used = core_seconds(STAGES, shards, megabytes) / _HOUR
        apart = formula / found - 1
        print(
            f"| {name} | {cluster.all_cores:,} | {used:,.0f} | {formula / _HOUR:.2f} "
            f"| {found / _HOUR:.2f} | {apart:+.1%} |"
        )
        if abs(apart) > _WITHIN:
            raise AssertionError(f"{name}: formula and simulation are {apart:+.0%} apart")


if __name__ == "__main__":
    main()
