"""A SLURM cluster on this machine: real daemons, nodes that are processes, GPUs that are not there.

Nodes claim more cores and memory than the machine has, so that jobs may ask for what they would ask
a real cluster for; SLURM counts both, and nothing binds a process to a core. A node's GPUs are
device files that any machine has: SLURM allocates them and sets CUDA_VISIBLE_DEVICES.

Needs Debian's slurm-wlm, slurmdbd, mariadb-server and munge (SLURM 22.05 is tried), none of them
running as a service; everything is under one folder, on ports of its own, by whoever starts it.
"""

import contextlib
import os
import platform
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "srun")
CPU_NODES = ("c1",)
GPU_NODES = ("g1", "g2")
NODES = CPU_NODES + GPU_NODES
GPUS_PER_NODE = 2
ACCOUNT = "research"
PARTITIONS = ("cpu", "gpu", "urgent")  # urgent: jobs there preempt those in gpu, on the same nodes

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where the daemons are, for users whose PATH lacks it
_PATIENCE = 60.0  # seconds for what takes a few on an idle machine

_SLURM_CONF = """\
ClusterName=midtrain
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[slurmctld]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# cred_expire: the seconds that a requeued job waits before it may start again, else 120.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/slurmctld
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/slurmd-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
# The cores and memory of nodes are those below, whatever the machine has.
SlurmdParameters=config_overrides
# Seconds until a node that is silent is down, and its jobs lost; it is taken back when it answers.
SlurmdTimeout=15
ReturnToService=2
# Seconds from SIGTERM to SIGKILL of a job that is out of time, else 30.
KillWait=10

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[slurmdbd]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment

# A process is found by its parents, and memory by asking after it: no control groups are needed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill

# What a preempted job has from SIGTERM on is GraceTime, then KillWait; jobs are requeued.
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=bf_interval=2

GresTypes=gpu
{nodes}
PartitionName=cpu Nodes={cpu_nodes} Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes={gpu_nodes} MaxTime=INFINITE PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes={gpu_nodes} MaxTime=INFINITE PriorityTier=2 PreemptMode=OFF
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
    " CPUs=64 RealMemory=256000{gres}"
)
_SLURMDBD_CONF = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[slurmdbd]}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[mariadb]}
StorageUser=slurm
StoragePass={password}
"""
_DATABASE = """\
CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
"""


class NotReadyError(Exception):
    """A daemon did not do in time what it was waited for."""


@dataclass(frozen=True)
class Job:
    """A job, or a step of one, as sacct tells it."""

    id: str  # as `12`, or `12.0` and `12.batch` for its steps
    state: str
    partition: str
    account: str
    nodes: str
    comment: str  # Snakemake's: the rule or group, and its wildcards
    requested: Mapping[str, str]  # cpu, mem, node, gres/gpu, ...
    allocated: Mapping[str, str]
    limit_minutes: int | None


@dataclass
class Cluster:
    """Use as ``with started(folder) as cluster``, and its ``environment`` for all clients."""

    folder: Path
    _daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which sbatch, srun, sacct and Snakemake find this cluster."""
        outside = {name: value for name, value in os.environ.items() if not _is_slurms(name)}
        path = f"{self.folder}/bin:{outside.get('PATH', os.defpath)}:{_SBIN}"
        return {**outside, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, check: bool = True) -> str:
        """Run a client of SLURM and return what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def submit(self, script: str, *options: str) -> str:
        """Submit a shell script and return its job's id."""
        output = str(self.folder / "job-%j.out")
        return self.run(
            "sbatch", "--parsable", "--account", ACCOUNT, "--output", output, *options,
            "--wrap", script,
        ).strip()  # fmt: skip

    def output(self, job: str) -> str:
        """What a job that ``submit`` has started has written so far."""
        file = self.folder / f"job-{job}.out"
        return file.read_text() if file.exists() else ""

    def jobs(self, *selection: str) -> list[Job]:
        """Accounting's records, all jobs' if no options of sacct select some; oldest first.

        A requeued job has a record for each time that it was queued. Waits for those of jobs to be
        whole: the controller sends them some seconds late, and the steps' before the job's.
        """
        names = "JobID,State,Partition,Account,NodeList,Comment,ReqTRES,AllocTRES,TimelimitRaw"
        command = (
            "sacct", "--allusers", "--starttime=now-1day", "--duplicates", "--noheader",
            "--parsable2", f"--format={names}", *selection,
        )  # fmt: skip
        found: list[Job] = []

        def whole() -> bool:
            found[:] = [_job(*line.split("|")) for line in self.run(*command).splitlines()]
            return all(job.partition or "." in job.id for job in found)

        wait(whole, "accounting to know of jobs", _PATIENCE)
        return found

    def state(self, job: str) -> str:
        """A job's state as the controller tells it, or nothing if it knows none."""
        shown = ("--noheader", "--states=all", f"--jobs={job}", "--Format=State")
        return self.run("squeue", *shown, check=False).strip()

    def wait_for_state(self, job: str, *states: str, seconds: float = _PATIENCE) -> str:
        """Wait until a job is in one of ``states``; return it."""
        wait(lambda: self.state(job) in states, f"job {job} to be {states}", seconds)
        return self.state(job)

    def wait_for_nodes(self, *nodes: str, state: str = "idle", seconds: float = _PATIENCE) -> None:
        """Wait until ``nodes``, or all, are in ``state``, as sinfo words it (`down*`: silent)."""

        def there() -> bool:
            shown = self.run("sinfo", "--noheader", "--Node", "--format=%N %t", check=False)
            states = dict(line.split() for line in shown.splitlines())
            return all(states.get(node) == state for node in nodes or NODES)

        wait(there, f"nodes {nodes or NODES} to be {state}", seconds)

    def start_node(self, node: str) -> None:
        """Start a node that is not running: as one that was lost and is there again."""
        self._start(f"slurmd-{node}", "slurmd", "-D", "-N", node, SLURMD_NODENAME=node)

    def kill_node(self, node: str) -> None:
        """Lose a node at once, with all that ran on it: SIGKILL for its daemon, steps and tasks.

        After SlurmdTimeout the controller misses it: its jobs fail, or are requeued.
        """
        self._kill(node)
        self._daemons.pop(f"slurmd-{node}").wait()

    def update_node(self, node: str, state: str) -> None:
        """Set a node's state as its administrator would: DOWN, DRAIN, RESUME, ..."""
        self.run("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")

    def stop_controller(self, kill: bool = False) -> None:
        """Stop slurmctld: clients fail, what runs on nodes goes on.

        With ``kill`` by SIGKILL, so that it forgets what happened in the last few seconds.
        """
        daemon = self._daemons.pop("slurmctld")
        daemon.kill() if kill else daemon.terminate()
        daemon.wait()

    def start_controller(self) -> None:
        """Start slurmctld; it takes up the jobs that it has on record."""
        self._start("slurmctld", "slurmctld", "-D")
        wait(self._controller_answers, "slurmctld to answer", _PATIENCE)

    def mend(self) -> None:
        """Start what was stopped, cancel all jobs, and wait until all nodes are idle."""
        if "slurmctld" not in self._daemons:
            self.start_controller()
        for node in NODES:
            if f"slurmd-{node}" not in self._daemons:
                self.start_node(node)
        self.run("scancel", "--user", _user())
        wait(lambda: not self.run("squeue", "--noheader"), "jobs to end", _PATIENCE)
        shown = self.run("sinfo", "--noheader", "--Node", "--states=down,drain", "--format=%N")
        for node in set(shown.split()):
            self.update_node(node, "RESUME")
        self.wait_for_nodes()

    def start(self) -> None:
        """Start all daemons, and wait until the nodes are idle."""
        ports = _free_ports(("mariadb", "slurmdbd", "slurmctld", *NODES))
        password = secrets.token_hex()
        self._configure(ports, password)
        self._start_munge()
        self._start_database(ports["mariadb"], password)
        self._start("slurmdbd", "slurmdbd", "-D")
        wait(self._accounting_answers, "slurmdbd to answer", _PATIENCE)
        self.run("sacctmgr", "--immediate", "add", "cluster", "midtrain")
        self.run("sacctmgr", "--immediate", "add", "account", ACCOUNT, "cluster=midtrain")
        self.run("sacctmgr", "--immediate", "add", "user", _user(), f"account={ACCOUNT}")
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes()

    def stop(self) -> None:
        """End every process of this cluster, its daemons', jobs' and clients', and no other."""
        self._kill()
        for daemon in self._daemons.values():
            daemon.wait()
        self._daemons.clear()

    def _configure(self, ports: Mapping[str, int], password: str) -> None:
        """Write the configuration files; SLURM wants slurmdbd's, with its password, private."""
        values = {
            "folder": self.folder,
            "host": platform.node().split(".")[0],
            "user": _user(),
            "ports": ports,
            "password": password,
        }
        gpus = f" Gres=gpu:fake:{GPUS_PER_NODE}"
        nodes = [
            _NODE.format(name=name, host=values["host"], port=ports[name], gres=gres)
            for names, gres in ((CPU_NODES, ""), (GPU_NODES, gpus))
            for name in names
        ]
        partitions = {"cpu_nodes": ",".join(CPU_NODES), "gpu_nodes": ",".join(GPU_NODES)}
        slurm = _SLURM_CONF.format(**values, **partitions, nodes="\n".join(nodes))
        devices = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")[:GPUS_PER_NODE]
        gres = [
            f"NodeName={','.join(GPU_NODES)} Name=gpu Type=fake File={device}" for device in devices
        ]
        self._write("slurm.conf", slurm)
        self._write("gres.conf", "\n".join(gres) + "\n")
        self._write("slurmdbd.conf", _SLURMDBD_CONF.format(**values))
        self._write("database.sql", _DATABASE.format(**values))
        (self.folder / "slurmctld").mkdir()
        self._wrap_clients()

    def _wrap_clients(self) -> None:
        """Let clients do without SLURM_CONF, which Snakemake takes from what runs in its jobs."""
        folder = self.folder / "bin"
        folder.mkdir()
        for client in ("srun", "squeue", "scontrol", "sacct", "scancel"):
            file = folder / client
            settings = f"SLURM_CONF={shlex.quote(str(self.folder / 'slurm.conf'))}"
            file.write_text(f'#!/bin/sh\n{settings} exec {shutil.which(client)} "$@"\n')
            file.chmod(0o700)

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = [
            f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "log", "pid", "seed")
        ]
        # --force: the folder may be below one that others may write to, such as /tmp.
        socket_file = self.folder / "munge.socket"
        self._start(
            "munged", "munged", "--foreground", "--force", f"--socket={socket_file}", *files
        )
        wait(socket_file.exists, "munged to listen", _PATIENCE)

    def _start_database(self, port: int, password: str) -> None:
        data, user = f"--datadir={self.folder}/mariadb", f"--user={_user()}"
        self.run("mariadb-install-db", "--no-defaults", data, user, "--skip-test-db")
        self._start(
            "mariadbd", "mariadbd", "--no-defaults", data, user, "--bind-address=127.0.0.1",
            f"--port={port}", f"--socket={self.folder}/mariadb.socket",
            f"--pid-file={self.folder}/mariadb.pid", f"--init-file={self.folder}/database.sql",
            "--skip-name-resolve",
        )  # fmt: skip
        wait(lambda: _listens(port), "mariadbd to listen", _PATIENCE)

    def _start(self, name: str, program: str, *arguments: str, **environment: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                [program, *arguments],
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _accounting_answers(self) -> bool:
        return bool(self.run("sacctmgr", "--noheader", "show", "user", check=False))

    def _controller_answers(self) -> bool:
        return "is UP" in self.run("scontrol", "ping", check=False)

    def _kill(self, node: str | None = None) -> None:
        """Kill all processes, or a node's: none lives to see another die, and to tell of it."""
        while processes := self._processes(node):  # again, for what was forked meanwhile
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for process in processes:
                    with contextlib.suppress(psutil.Error):
                        process.send_signal(number)
            psutil.wait_procs(processes, timeout=_PATIENCE)

    def _processes(self, node: str | None = None) -> list[psutil.Process]:
        """All processes of this cluster, or of a node of it; not this one.

        Also those that have lost their parent: whatever was started here has SLURM_CONF in its
        environment, but slurmstepd, which writes its title over it and has its node's log open.
        """
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and self._owns(process, node):
                    found.append(process)
        return found

    def _owns(self, process: psutil.Process, node: str | None) -> bool:
        environment = process.environ()
        if environment.get("SLURM_CONF") == str(self.folder / "slurm.conf"):
            return node in (None, environment.get("SLURMD_NODENAME"))
        log = f"{self.folder}/slurmd-" if node is None else f"{self.folder}/slurmd-{node}.log"
        return any(file.path.startswith(log) for file in process.open_files())


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """A cluster under ``folder``, which is empty; stopped at the end, whatever happened.

    Raises NotReadyError, with the daemons' last words, if it does not come up.
    """
    cluster = Cluster(folder)
    try:
        try:
            cluster.start()
        except (NotReadyError, AssertionError) as error:
            logs = [*folder.glob("*.out"), *folder.glob("*.log")]
            words = "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in logs)
            raise NotReadyError(f"{error}\n{words}") from None
        yield cluster
    finally:
        cluster.stop()


def missing() -> Sequence[str]:
    """The programs that are not installed."""
    path = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


def wait(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Return once ``condition`` holds; raise NotReadyError when it does not after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise NotReadyError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)


def _job(*fields: str) -> Job:
    id, state, partition, account, nodes, comment, *tres, limit = fields
    requested, allocated = (
        dict(item.split("=", 1) for item in text.split(",") if item) for text in tres
    )
    return Job(
        id, state, partition, account, nodes, comment, requested, allocated,
        int(limit) if limit.isdigit() else None,
    )  # fmt: skip


def _is_slurms(variable: str) -> bool:
    """Tell what an outer job of SLURM, if these tests run in one, has left in the environment."""
    return variable.startswith(("SLURM", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SINFO_"))


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    """Ports that nobody listens on, by name; all are held until the last is found."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
