"""The weighted mean of checkpoints, tensor by tensor, in the memory of a slice of each.

A number of the mean is a sum in float64, in the order of the files, that is rounded once to the
type of the weights. Multiplying and adding are operations of their own, as torch may fuse them on
one processor and not on another: so all come to the same bits.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from scripts.common.errors import UserError
from scripts.common.tensor_file import read_header

_SLICE_NUMBERS = 1 << 24  # of one file, in memory at a time


def write_mean(target: Path, shares: Mapping[Path, float]) -> None:
    """Write the mean of safetensors files, each with its share of it, to ``target``.

    Floating-point tensors keep their type; others must be the same in all files. The mean of equal
    files is equal to them bit for bit. Raises UserError naming the first tensor that files do not
    have alike.
    """
    first = next(iter(shares))
    with contextlib.ExitStack() as stack:
        files = {
            file: stack.enter_context(safe_open(file, framework="pt", device="cpu"))
            for file in shares
        }
        _check_alike(files)
        # The library writes only what is in memory as a whole. With the names, types and shapes of
        # the first file, the mean has its header, too, and its order of data.
        with target.open("wb") as stream:
            stream.write(read_header(first))
            for name in files[first].offset_keys():
                for rows in _rows(files[first].get_slice(name).get_shape()):
                    parts = {file: _read(opened, name, rows) for file, opened in files.items()}
                    stream.write(_bytes(_mean(name, parts, [*shares.values()])))


def _check_alike(files: Mapping[Path, Any]) -> None:
    (first, expected), *others = ((file, _described(opened)) for file, opened in files.items())
    for file, found in others:
        for name in sorted(expected.keys() | found.keys()):
            if found.get(name) != expected.get(name):
                raise UserError(
                    f"tensor {name!r} is {found.get(name, 'missing')} in {file} and "
                    f"{expected.get(name, 'missing')} in {first}: merge phases of one model"
                )


def _described(opened: Any) -> dict[str, str]:
    """Return the type and shape of each tensor of a file."""
    slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
    return {name: f"{one.get_dtype()} {one.get_shape()}" for name, one in slices.items()}


def _rows(shape: Sequence[int]) -> Iterator[slice | None]:
    """Yield the slices along the first dimension to read a tensor by; None is all of it."""
    numbers = prod(shape)
    if numbers <= _SLICE_NUMBERS:
        yield None
        return
    count = max(1, _SLICE_NUMBERS * shape[0] // numbers)
    for start in range(0, shape[0], count):
        yield slice(start, start + count)


def _read(opened: Any, name: str, rows: slice | None) -> Tensor:
    tensor: Tensor = opened.get_tensor(name) if rows is None else opened.get_slice(name)[rows]
    return tensor


def _mean(name: str, parts: Mapping[Path, Tensor], shares: Sequence[float]) -> Tensor:
    (first_file, first), *others = parts.items()
    if not first.is_floating_point():
        for file, part in others:
            if not torch.equal(part, first):
                raise UserError(
                    f"tensor {name!r} holds no weights, and differs between {first_file} and "
                    f"{file}: merge phases of one model"
                )
        return first
    total = first.double() * shares[0]  # and not from zero, which would turn -0 into 0
    for (_, part), share in zip(others, shares[1:], strict=True):
        total += part.double() * share
    return total.to(first.dtype)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().data
