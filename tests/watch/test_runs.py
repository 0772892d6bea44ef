"""Runs that go well, badly and half way, as `scripts.watch` tells of them."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.watch.history import History, State
from tests.watch.conftest import Watched, failures

MIXED = """
rule all:
    input: expand("out/{name}/content.json", name=["good", "bad", "silent"])

rule work:
    output: "out/{name}/content.json"
    log: "logs/{name}.log"
    threads: 2
    resources: mem_mb=100
    shell:
        "case {wildcards.name} in"
        " good) touch {output} ;;"
        " bad) (echo first; echo \\"the last line\\"; exit 3) 2>&1 | tee {log} ;;"
        " silent) kill -9 $$ ;;"
        " esac"
"""
RETRIED = """
rule flaky:
    output: "flaky/content.json"
    log: "logs/flaky.log"
    shell:
        "echo $GREETING | tee {log}; mkdir -p flaky;"
        " test -f been_here || (touch been_here; false); touch {output}"
"""
WITHOUT_OUTPUT = """
rule forgets:
    output: "forgotten/content.json"
    log: "logs/forgets.log"
    shell: "echo did nothing | tee {log}"
"""
SLOW = """
rule slow:
    output: "slow/content.json"
    log: "logs/slow.log"
    shell: "echo step 7/1000 | tee {log}; sleep 60; touch {output}"
"""


def test_each_failure_is_told_once_with_all_that_helps(watched: Watched) -> None:
    done = watched.snakemake(MIXED)
    assert done.returncode == 1
    told = failures(done.stderr)
    assert len(told) == 2
    (bad,) = (text for text in told if "name=bad" in text)
    assert bad.startswith("FAILED: work name=bad, attempt 1 of 1: it is given up")
    assert "logs/bad.log, which ends in\n             | first\n             | the last line" in bad
    (silent,) = (text for text in told if "name=silent" in text)
    assert "logs/silent.log, which says nothing" in silent


def test_the_command_by_hand_does_the_same(watched: Watched) -> None:
    told = failures(watched.snakemake(RETRIED).stderr)
    (line,) = re.findall(r"^  by hand    (.*)$", told[0], re.MULTILINE)
    shutil.rmtree("logs")
    Path("logs").mkdir()
    done = subprocess.run(["bash", "-c", line], cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert Path("flaky/content.json").exists()  # it succeeds when it is run again


def test_a_job_that_is_run_again_is_no_failure_in_the_end(watched: Watched) -> None:
    done = watched.snakemake(RETRIED, "--retries", "2")
    assert done.returncode == 0
    (told,) = failures(done.stderr)
    assert told.startswith("FAILED: flaky, attempt 1 of 3: it is run again")
    first, second = watched.history().attempts
    assert first.failure == told and second.failure is None
    (row,) = re.findall(r"^flaky .*$", watched.tell(), re.MULTILINE)
    assert row.split()[:4] == ["flaky", "1", "1", "1"]  # jobs, done, again; none failed
    assert "failed (" not in watched.tell()
    assert watched.tell("--failures").strip() == told


def test_an_output_that_is_not_there_is_a_failure(watched: Watched) -> None:
    done = watched.snakemake(WITHOUT_OUTPUT, "--latency-wait", "1")
    (told,) = failures(done.stderr)
    assert "it ended well, but made no output" in told and "| did nothing" in told
    assert "forgets: failed" in watched.tell()


def test_a_run_is_followed_while_it_runs_and_when_it_was_killed(watched: Watched) -> None:
    command = watched.command(SLOW)
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        log = Path("logs/slow.log")
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        told = watched.tell()
        assert "has run for" in told
        assert re.search(r"^running\n  slow: 0:00:\d\d\n    \| step 7/1000$", told, re.MULTILINE)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    told = watched.tell()
    assert "stopped or killed" in told and "slow: cut off" in told


def test_the_table_at_the_end_is_the_one_of_the_command(watched: Watched) -> None:
    done = watched.snakemake(MIXED)
    told = watched.tell()
    assert told.strip() in done.stderr
    (row,) = re.findall(r"^work .*$", told, re.MULTILINE)
    assert row.split()[:4] == ["work", "3", "1", "2"]  # jobs, done, failed
    assert row.split()[-1] == "100"  # MB asked
    assert " all " not in told


def test_a_dry_run_and_a_run_without_jobs_leave_no_journal(watched: Watched) -> None:
    watched.snakemake(RETRIED, "--dry-run")
    with pytest.raises(UserError, match="holds no journal"):
        History.latest()
    Path("flaky").mkdir()
    Path("flaky/content.json").touch()
    watched.snakemake(RETRIED)
    with pytest.raises(UserError, match="holds no journal"):
        History.latest()


def test_a_half_written_last_line_is_left_out(watched: Watched) -> None:
    watched.snakemake(RETRIED, "--retries", "1")
    path = watched.history().path
    whole = path.read_text()
    path.write_text(whole + '{"event": "fini')
    assert [one.state(None, alive=False) for one in History.read(path).attempts] == [
        State.FAILED, State.DONE,
    ]  # fmt: skip
    path.write_text("not a journal\n")
    with pytest.raises(UserError, match="is no journal of a run"):
        History.read(path)
