"""Fixtures that several stages share."""

from pathlib import Path

import pytest


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, as programs expect one: `results/` is made in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
