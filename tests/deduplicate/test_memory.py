"""Clustering under a limit that the signatures alone would exceed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scripts.common import tables
from scripts.common.artifact import Draft
from scripts.common.code import ROOT
from scripts.deduplicate import rows_file
from scripts.deduplicate.rows_file import MINHASH_ITEM
from scripts.deduplicate.signatures import SCHEMA

DOCUMENTS, WARM_UP = 160_000, 1000
PERMUTATIONS = 112
BYTES_A_DOCUMENT = 200  # of limit; a signature has 448

# Clusters a small folder first, so that what every process needs is there before the limit.
PROGRAM = """
import re, resource, sys
from pathlib import Path
from scripts.common.artifact import Artifact, Draft
from scripts.deduplicate import clusters, lsh, spill

spill.PART_RECORDS = 1 << 14
lsh._GATHERED = 1 << 13
clusters._ROWS = 2000

def cluster(folder):
    artifact = Artifact.load(Path(folder, "content.json"))
    settings = clusters.Settings(
        bands=14, rows=8, permutations=112, threshold=0.7, semantic=False,
        preference=["s"], shards={"s": 1},
    )
    draft = Draft(Path(folder, "duplicates"))
    draft.folder.mkdir()
    clusters.build(draft, {("s", 0): artifact}, None, settings)
    print(draft.counts["sources"]["s"]["fuzzy"])

warm_up, folder, limit = sys.argv[1:]
cluster(warm_up)
data = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (data + int(limit),) * 2)
cluster(folder)
"""


def write_signatures(folder: Path, count: int) -> None:
    """Every third signature is a copy of one before it but for some values."""
    random = np.random.default_rng(0)
    minhash = random.integers(0, 2**32, (count, PERMUTATIONS), dtype=MINHASH_ITEM)
    copies = np.arange(2, count, 3)
    minhash[copies, 10:] = minhash[random.integers(0, copies // 3 + 1) * 3, 10:]
    draft = Draft(folder)
    with rows_file.writing(draft.path("minhash.npy"), count, PERMUTATIONS, MINHASH_ITEM) as append:
        append(minhash)
    columns = [
        pa.array(random.permutation(count)),
        pa.array([False] * count),
        pa.array([number.to_bytes(16, "little") for number in range(count)], pa.binary(16)),
        pa.array([False] * count),
    ]
    tables.write(pa.table(columns, schema=SCHEMA), draft.path("signatures.parquet"))
    members = {name: {"size": draft.path(name).stat().st_size} for name in draft.member_names()}
    content = {"counts": {"documents": count}, "members": members}
    Path(folder, "content.json").write_text(json.dumps(content))


def cluster(tmp_path: Path, limit: int) -> subprocess.CompletedProcess[str]:
    folders = [tmp_path / f"{limit}-{count}" for count in (WARM_UP, DOCUMENTS)]
    for folder, count in zip(folders, (WARM_UP, DOCUMENTS), strict=True):
        write_signatures(folder, count)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, folders), str(limit)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_memory_is_less_than_the_signatures(tmp_path: Path) -> None:
    done = cluster(tmp_path, BYTES_A_DOCUMENT * DOCUMENTS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == DOCUMENTS // 3
    too_low = cluster(tmp_path, 8 * DOCUMENTS)  # the union-find alone: the limit does limit
    # Whoever of Python, Arrow and the C library is refused first: it ends after the warm-up.
    assert too_low.returncode != 0 and too_low.stdout.split() == [str(WARM_UP // 3)]
