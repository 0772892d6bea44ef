"""An executor that runs one job after the other and notes what each one's program took.

A line of ``metered.jsonl`` in the working directory has a job's ``rule`` and the ``processor``
seconds of its command and all that this started.
"""

import json
import resource
from pathlib import Path

from snakemake.shell import shell
from snakemake_executor_plugin_instant import Executor as InstantExecutor
from snakemake_executor_plugin_instant import common_settings
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

__all__ = ["Executor", "common_settings"]  # where Snakemake looks for them


def processor_seconds() -> float:
    """Return what all finished processes that this one started have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Executor(InstantExecutor):
    def run_job(self, job: JobExecutorInterface) -> None:
        submitted = SubmittedJobInfo(job, external_jobid=str(job.jobid))
        self.report_job_submission(submitted)
        self.workflow.async_run(job.prepare())
        before = processor_seconds()
        shell("{job.shellcmd}")  # it formats what it is given
        record = {"rule": job.rule.name, "processor": processor_seconds() - before}
        with Path("metered.jsonl").open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        self.report_job_success(submitted)
