"""The environments of `envs/`: the versions of the lock file, and what their programs import."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
import yaml

from scripts.common.code import ROOT, module_files

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
OPTIONAL = {"mlflow", "torchao", "wandb"}  # what a user may install: trackers, FP8


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalised(name): version for name, version in pins}


def pinned(environment: str) -> dict[str, str]:
    parts = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
    pip = next(part for part in parts if isinstance(part, dict))
    return dict(entry.split("==") for entry in pip["pip"])


def programs(environment: str) -> set[str]:
    """The programs of the rules that run in an environment."""
    found = set()
    for file in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            if f"envs/{environment}.yaml" in rule:
                found.update(re.findall(r'program\(f?"(scripts[\w.{}]+)"', rule))
    annotators = [file.stem for file in (ROOT / "scripts/annotate").glob("[!_]*.py")]
    by_name = "scripts.annotate.{wildcards.annotator}"
    if by_name in found:
        found = found - {by_name} | {f"scripts.annotate.{annotator}" for annotator in annotators}
    return found


def imported(files: list[str]) -> Iterator[str]:
    """The top-level packages that files import from elsewhere."""
    for file in files:
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).split(".")[0]


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_versions_are_those_of_the_lock_file(file) -> None:
    pins = pinned(file.stem)
    assert pins == {name: locked()[normalised(name)] for name in pins}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_has_what_its_programs_import(file) -> None:
    used = programs(file.stem)
    assert used
    packages = set(imported(module_files(*used))) - sys.stdlib_module_names - OPTIONAL - {"scripts"}
    distributions = metadata.packages_distributions()
    wanted = {normalised(distributions[package][0]) for package in packages}
    assert wanted <= {normalised(name) for name in pinned(file.stem)}


def test_every_rule_that_runs_a_program_names_its_environment() -> None:
    for file in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            assert re.search(r'conda:\s+"../envs/\w+.yaml"', rule), rule.split(":")[0]


def test_every_direct_requirement_is_locked() -> None:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    wanted = {
        normalised(re.split(r"[=\[<> ]", line)[0]) for line in lines if line and line[0] != "#"
    }
    assert wanted <= set(locked())


def test_the_image_installs_the_lock_file_on_the_same_python() -> None:
    recipe = (ROOT / "envs/midtrain.def").read_text()
    (copied,) = re.findall(r"^ +requirements\.lock (\S+)$", recipe, re.MULTILINE)
    installed = re.findall(r"pip install (.*)$", recipe, re.MULTILINE)
    assert installed == [f"--no-cache-dir --requirement {copied}"]
    (image,) = re.findall(r"^From: python:(\d+\.\d+)-", recipe, re.MULTILINE)
    pythons = {yaml.safe_load(file.read_text())["dependencies"][0] for file in ENVIRONMENTS}
    assert pythons == {f"python={image}"}
