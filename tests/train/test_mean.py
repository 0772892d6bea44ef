"""The mean of safetensors files against a slow and obvious one in numpy."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from scripts.common.errors import UserError
from scripts.common.tensor_file import count_parameters, read_header
from scripts.train import mean
from scripts.train.mean import write_mean

SHAPES = {"embed.weight": (7, 5), "norm.weight": (5,), "scale": (), "deep": (3, 2, 4), "no": (0, 5)}
SHARES = [0.5, 0.3, 0.2]


def written(folder: Path, tensors: Mapping[str, Tensor], name: str) -> Path:
    file = folder / f"{name}.safetensors"
    save_file(dict(tensors), file, metadata={"format": "pt"})
    return file


def random_files(folder: Path, dtype: torch.dtype = torch.float32) -> list[Path]:
    generator = torch.Generator().manual_seed(0)
    return [
        written(
            folder,
            {
                **{key: torch.randn(shape, generator=generator).to(dtype)
                   for key, shape in SHAPES.items()},
                "steps": torch.arange(4),
                "mask": torch.tensor([True, False]),
            },
            str(index),
        )
        for index in range(len(SHARES))
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("numbers", [1 << 24, 12, 1])
def test_every_number_is_the_rounded_float64_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, numbers: int
) -> None:
    """However small the slices that are read at a time."""
    monkeypatch.setattr(mean, "_SLICE_NUMBERS", numbers)
    files = random_files(tmp_path, dtype)
    target = tmp_path / "mean.safetensors"
    write_mean(target, dict(zip(files, SHARES, strict=True)))
    read, parts = load_file(target), [load_file(file) for file in files]
    assert read.keys() == parts[0].keys()
    for name in SHAPES:
        wide = [part[name].double().numpy() for part in parts]
        total = wide[0] * SHARES[0] + wide[1] * SHARES[1] + wide[2] * SHARES[2]
        expected = torch.from_numpy(np.asarray(total)).to(dtype)
        assert read[name].dtype == dtype
        assert torch.equal(read[name], expected), name
    assert torch.equal(read["steps"], torch.arange(4))
    assert torch.equal(read["mask"], torch.tensor([True, False]))
    assert read_header(target) == read_header(files[0])
    assert target.stat().st_size == files[0].stat().st_size
    assert count_parameters(target) == sum(part.numel() for part in parts[0].values())


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=8),
    st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5),
)
def test_the_mean_of_equal_files_is_equal_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], weights: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("equal")
    file = written(folder, {"weight": torch.tensor(numbers)}, "0")
    copies = [folder / f"{index}.copy" for index in range(len(weights))]
    for copy in copies:
        copy.write_bytes(file.read_bytes())
    target = folder / "mean"
    write_mean(
        target, {copy: one / sum(weights) for copy, one in zip(copies, weights, strict=True)}
    )
    assert target.read_bytes() == file.read_bytes()


def test_minus_zero_stays(tmp_path: Path) -> None:
    files = [written(tmp_path, {"weight": torch.tensor([-0.0])}, name) for name in "ab"]
    write_mean(tmp_path / "mean", dict.fromkeys(files, 0.5))
    assert (tmp_path / "mean").read_bytes().endswith(struct.pack("<f", -0.0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm.weight": None}, r"'norm.weight' is missing in .*1\.safetensors and F32 \[5\] in"),
        ({"more": torch.zeros(2)}, r"'more' is F32 \[2\] in .*1\.safetensors and missing in"),
        ({"norm.weight": torch.zeros(6)}, r"'norm.weight' is F32 \[6\] in .* and F32 \[5\] in"),
        ({"norm.weight": torch.zeros(5).half()}, r"'norm.weight' is F16 \[5\] in .* F32 \[5\] in"),
        ({"steps": torch.arange(1, 5)}, r"'steps' holds no weights, and differs"),
    ],
)
def test_what_is_not_alike_is_named(
    tmp_path: Path, changes: Mapping[str, Tensor | None], told: str
) -> None:
    first, second, _ = random_files(tmp_path)
    tensors = {**load_file(second), **changes}
    written(tmp_path, {key: one for key, one in tensors.items() if one is not None}, "1")
    with pytest.raises(UserError, match=f"tensor {told}.*merge phases of one model"):
        write_mean(tmp_path / "mean", {first: 0.5, second: 0.5})
