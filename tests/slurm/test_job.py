"""What a program asks of SLURM about its own job."""

import sys
import time

from scripts.common.code import ROOT
from tests.slurm.cluster import Cluster


def test_the_end_of_a_jobs_time_is_known_without_the_environment_telling(cluster: Cluster) -> None:
    code = "from scripts.slurm.job import end_of_job; print(end_of_job())"
    job = cluster.submit(
        f"unset SLURM_JOB_END_TIME; {sys.executable} -c '{code}'",
        "--partition=cpu", "--mem=1G", "--time=7", f"--chdir={ROOT}",
    )  # fmt: skip
    assert cluster.wait_for_state(job, "COMPLETED", "FAILED") == "COMPLETED"
    assert 300 < float(cluster.output(job)) - time.time() < 7 * 60
