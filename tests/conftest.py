"""Fixtures that several stages share."""

from pathlib import Path

import pytest
from hypothesis import settings

# Machines differ in speed: an example may take as long as it takes, and is the same each time.
settings.register_profile("midtrain", deadline=None, derandomize=True)
settings.load_profile("midtrain")


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, as programs expect one: `results/` is made in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
