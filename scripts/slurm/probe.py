"""A job of a minute in a partition: whether its nodes find this folder, this Python and a GPU."""

import logging
import secrets
import sys
from pathlib import Path

from scripts.slurm.client import attempt
from scripts.slurm.requests import Request

log = logging.getLogger(__name__)

_SECONDS_IN_QUEUE = 300
_REFUSED_IN_TIME = "Requested nodes are busy"  # srun, when --immediate has passed
# What the job runs: reads the file that this process wrote, imports what training needs.
_PROGRAM = """\
import pathlib, platform, sys
file = pathlib.Path(sys.argv[1])
if not file.exists():
    sys.exit(f"{file} is not seen from {platform.node()}: results must be on a shared file system")
import torch, snakemake
if sys.argv[2] == "gpu" and not torch.cuda.is_available():
    sys.exit(f"torch {torch.__version__} finds no GPU on {platform.node()}")
"""


def probe(request: Request) -> str | None:
    """Run a job where ``request`` would run; return what it found amiss, None if nothing.

    Waits some minutes for a place in the queue, and says so in the log if it gets none.
    """
    file = Path.cwd() / f".check-slurm-{secrets.token_hex(8)}"
    file.touch()
    try:
        done = attempt(_command(request, file), _SECONDS_IN_QUEUE + 120)
    finally:
        file.unlink()
    if _REFUSED_IN_TIME in done.stderr:
        log.warning("no place in the queue within %d s: not probed", _SECONDS_IN_QUEUE)
        return None
    return done.stderr.strip().splitlines()[0] if done.returncode else None


def _command(request: Request, file: Path) -> list[str]:
    resources = request.resources
    options = {"account": "slurm_account", "partition": "slurm_partition", "qos": "qos"}
    given = [f"--{key}={resources[name]}" for key, name in options.items() if name in resources]
    gpu = bool(resources.get("gpu")) or str(resources.get("gres", "")).startswith("gpu")
    return [
        "srun", *given, f"--immediate={_SECONDS_IN_QUEUE}", "--ntasks=1", "--time=2", "--mem=4000",
        "--quiet", f"--chdir={file.parent}", *(["--gpus=1"] if gpu else []),
        sys.executable, "-c", _PROGRAM, str(file), "gpu" if gpu else "cpu",
    ]  # fmt: skip
