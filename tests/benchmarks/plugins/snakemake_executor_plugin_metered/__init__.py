"""An executor that runs one job after the other and notes what each one's program took.

A line of ``metered.jsonl`` in the working directory has a job's ``rule`` and the ``processor``
seconds of its command and all that this started.
"""

import json
import resource
from pathlib import Path

from snakemake.shell import shell
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


def processor_seconds() -> float:
    """Return what all finished processes that this one started have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Executor(RealExecutor):
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

    def shutdown(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    @property
    def cores(self) -> str:
        return "all"

    def get_exec_mode(self) -> ExecMode:
        return ExecMode.REMOTE

    def get_python_executable(self) -> str:
        raise NotImplementedError("Snakemake is not started again for a job")
