"""An executor that does nothing in no time: what remains of a run is Snakemake's own work.

Each job's outputs are written, as records of nothing, and the job is reported as submitted and then
as done, as by an executor of a cluster. Snakemake finds it by its name in a folder of PYTHONPATH.
"""

from pathlib import Path

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


class Executor(RealExecutor):
    def run_job(self, job: JobExecutorInterface) -> None:
        submitted = SubmittedJobInfo(job, external_jobid=str(job.jobid))
        self.report_job_submission(submitted)
        for output in job.output:
            Path(output).parent.mkdir(parents=True, exist_ok=True)
            Path(output).write_text('{"counts":{},"members":{}}\n')
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
        raise NotImplementedError("no job is ever started")
