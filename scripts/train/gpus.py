"""GPUs: how fast they multiply in bf16 and how much memory they have, by NVIDIA's data sheets.

Data sheets tell FLOP/s "with sparsity", twice of what dense matrices can reach. For GeForce cards
the figures are those with fp32 sums, from the architectures' white papers. Memory is in 10^9 bytes,
as it is sold; most cards have a few per cent more, which serves as a reserve.
"""

import re
from dataclasses import dataclass

from scripts.common.errors import UserError


@dataclass(frozen=True)
class Gpu:
    name: str
    flops: float  # dense bf16 products, in operations per second
    memory: float  # bytes


_GPUS = tuple(
    Gpu(name, teraflops * 1e12, gigabytes * 1e9)
    for name, teraflops, gigabytes in (
        ("A100", 312, 80),
        ("A100 40GB", 312, 40),
        ("H100", 989.4, 80),  # SXM
        ("H100 PCIe", 756.5, 80),
        ("H100 NVL", 835.5, 94),
        ("H200", 989.4, 141),  # SXM
        ("H200 NVL", 835.5, 141),
        ("B200", 2250, 180),
        ("GB200", 2500, 186),
        ("L4", 121, 24),
        ("L40", 181, 48),
        ("L40S", 362, 48),
        ("RTX A6000", 154.8, 48),
        ("RTX 3090", 71, 24),
        ("RTX 4090", 165.2, 24),
    )
)


def find(name: str) -> Gpu | None:
    """Return the GPU that ``name`` tells, which may be what torch.cuda.get_device_name() returns.

    That has all words of the GPU's name here; of several that fit, it is the one of most words.
    """
    words = _words(name)
    fitting = [gpu for gpu in _GPUS if _words(gpu.name) <= words]
    return max(fitting, key=lambda gpu: len(_words(gpu.name)), default=None)


def named(name: str) -> Gpu:
    """Do as ``find``; raises UserError where nothing is known of such a GPU."""
    gpu = find(name)
    if gpu is None:
        known = ", ".join(one.name for one in _GPUS)
        raise UserError(
            f"--gpu {name}: no figures for it; known are {known}. Add it to scripts/train/gpus.py"
        )
    return gpu


def _words(name: str) -> set[str]:
    return set(re.findall(r"\w+", name.lower()))
