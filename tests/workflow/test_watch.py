"""The workflow's own jobs as they are told of: one that fails, and what the finished run took."""

import re
import subprocess
import sys

from tests.workflow.conftest import Workspace


def tell(workspace: Workspace) -> str:
    return subprocess.run(
        [sys.executable, "-m", "scripts.watch"],
        cwd=workspace.folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_a_failed_job_can_be_run_by_hand(workspace: Workspace) -> None:
    config = workspace.config()
    config["sources"]["prose"]["max_quarantined"] = 0.0
    workspace.write_config(config)
    done = workspace.snakemake("--keep-going", check=False)
    assert "FAILED: collect_documents" in done.stderr
    (line,) = re.findall(r"^  by hand    (.*)$", done.stderr, re.MULTILINE)
    by_hand = subprocess.run(["bash", "-c", line], cwd="/", capture_output=True, text=True)
    assert by_hand.returncode == 1
    assert "error: sources.prose: 1 of " in by_hand.stdout
    assert re.search(r"^  collect_documents .*source=prose.*: failed$", tell(workspace), re.M)


def test_a_finished_run_tells_what_its_programs_took(finished: Workspace) -> None:
    told = tell(finished)
    row = re.search(r"^train_phase +3 +3 .* (\d+)% +(\d[\d,]*)$", told, re.MULTILINE)
    assert row, told
    assert int(row[1]) > 0 and int(row[2].replace(",", "")) > 100  # MB: torch is loaded
    assert "ended after" in told and "failed" not in told
