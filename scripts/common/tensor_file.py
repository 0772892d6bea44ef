"""Safetensors files by their header alone, which says what tensors there are and where.

The header is JSON, preceded by its length in bytes as a little-endian 64-bit integer; the tensors'
data follow it without gaps (https://github.com/huggingface/safetensors#format).
"""

import json
from math import prod
from pathlib import Path

_LENGTH_BYTES = 8


def read_header(file: Path) -> bytes:
    """Return everything before the tensors' data: the length of the header, and the header."""
    with file.open("rb") as stream:
        length = stream.read(_LENGTH_BYTES)
        return length + stream.read(int.from_bytes(length, "little"))


def count_parameters(file: Path) -> int:
    """Return how many numbers a file holds; tied weights are stored, and counted, once."""
    header = json.loads(read_header(file)[_LENGTH_BYTES:])
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
