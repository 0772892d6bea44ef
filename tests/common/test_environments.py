"""The environments of `envs/` have the versions of the lock file."""

import re

import pytest
import yaml

from scripts.common.code import ROOT

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalised(name): version for name, version in pins}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_versions_are_those_of_the_lock_file(file) -> None:
    pip = next(
        part for part in yaml.safe_load(file.read_text())["dependencies"] if isinstance(part, dict)
    )
    pins = dict(entry.split("==") for entry in pip["pip"])
    assert pins == {name: locked()[name] for name in pins}


def test_every_direct_requirement_is_locked() -> None:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    wanted = {
        normalised(re.split(r"[=\[<> ]", line)[0]) for line in lines if line and line[0] != "#"
    }
    assert wanted <= set(locked())
