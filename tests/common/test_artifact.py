"""Artifacts: whole or absent, kept when nothing changed, never trusted when damaged."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common import layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.code import ROOT
from scripts.common.errors import UserError

MODULE = "scripts.common.canonical"


def build(text: str):
    def write(draft: Draft) -> None:
        draft.path("a.txt").write_text(text)
        draft.path("folder/b.txt").write_text(text[::-1])
        draft.counts["characters"] = len(text)

    return write


def made(text: str = "hello", settings: object = None, inputs: tuple[Path, ...] = ()) -> Artifact:
    return make(
        build(text), output=layout.phase("one"), module=MODULE, settings=settings, inputs=inputs
    )


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_members_and_counts_are_recorded(workdir: Path) -> None:
    artifact = made()
    assert artifact.counts == {"characters": 5}
    assert artifact.member("folder/b.txt").read_text() == "olleh"
    manifest = json.loads((artifact.folder / layout.MANIFEST).read_text())
    assert manifest["content"] == artifact.content
    assert names(artifact.folder) == [
        "a.txt", "content.json", "folder", "manifest.json", "provenance.json",
    ]  # fmt: skip


def test_same_work_twice_gives_the_same_manifest(workdir: Path) -> None:
    first = (made().folder / layout.MANIFEST).read_bytes()
    for record in (layout.CONTENT, layout.MANIFEST):
        (layout.phase("one").parent / record).unlink()
    assert (made().folder / layout.MANIFEST).read_bytes() == first


def test_unchanged_work_is_kept_without_building(workdir: Path) -> None:
    made("hello")
    layout.phase("one").unlink()  # as Snakemake does before it runs a job again
    assert made("never built").member("a.txt").read_text() == "hello"


@pytest.mark.parametrize("change", ["settings", "member", "input"])
def test_changed_work_is_built_again(workdir: Path, change: str) -> None:
    source = make(
        build("in"), output=layout.phase("in"), module=MODULE, settings=None, inputs=()
    ).path
    made("old", settings=1, inputs=(source,))
    if change == "member":
        (layout.phase("one").parent / "a.txt").write_text("odl")
    if change == "input":
        make(build("new in"), output=source, module=MODULE, settings=2, inputs=())
    again = made("new", settings=2 if change == "settings" else 1, inputs=(source,))
    assert again.member("a.txt").read_text() == "new"


def test_truncated_and_missing_members_are_named(workdir: Path) -> None:
    artifact = made()
    (artifact.folder / "a.txt").write_text("hel")
    with pytest.raises(UserError, match=r"a\.txt is missing or truncated"):
        artifact.member("a.txt")
    with pytest.raises(UserError, match="lists no member 'c'"):
        artifact.member("c")


def test_a_flipped_bit_is_found(workdir: Path) -> None:
    artifact = made()
    (artifact.folder / "a.txt").write_text("hellp")
    with pytest.raises(UserError, match="does not have the sha256"):
        artifact.verify()


def test_a_missing_input_is_named(workdir: Path) -> None:
    with pytest.raises(UserError, match=r"results/phases/gone/content\.json is missing"):
        made(inputs=(layout.phase("gone"),))


def test_a_failed_build_leaves_nothing(workdir: Path) -> None:
    def fail(draft: Draft) -> None:
        draft.path("a.txt").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="no space left"):
        make(fail, output=layout.phase("one"), module=MODULE, settings=None, inputs=())
    assert names(layout.phase("one").parent) == []


def test_a_killed_build_leaves_no_record(workdir: Path) -> None:
    program = (
        "import os, signal\n"
        "from scripts.common import layout\n"
        "from scripts.common.artifact import make\n"
        "def build(draft):\n"
        "    draft.path('a.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"make(build, output=layout.phase('one'), module={MODULE!r}, settings=None, inputs=())\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert killed.returncode == -signal.SIGKILL
    assert not layout.phase("one").exists()
    assert made("hello").member("a.txt").read_text() == "hello"


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE and Linux's SIGXFSZ")
def test_a_file_that_cannot_be_written_whole_is_not_recorded(workdir: Path) -> None:
    program = (
        "import resource, signal\n"
        "from scripts.common import layout\n"
        "from scripts.common.artifact import make\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "def build(draft):\n"
        "    draft.path('a.bin').write_bytes(bytes(5000))\n"
        f"make(build, output=layout.phase('one'), module={MODULE!r}, settings=None, inputs=())\n"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert failed.returncode == 1 and "File too large" in failed.stderr
    assert names(layout.phase("one").parent) == []
