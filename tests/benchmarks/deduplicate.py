"""Signing texts and clustering signatures, beside datasketch, rensa and datatrove; and memory.

Each gets texts in memory as it takes them: ours as an Arrow column, as Parquet is read, the others
as strings. A peer that is not installed is left out. ``python -m tests.benchmarks.deduplicate``.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact, Draft
from scripts.common.code import ROOT
from scripts.common.texts import Texts
from scripts.deduplicate import clusters, rows_file
from scripts.deduplicate.minhash import permutations, shingles, signatures
from scripts.deduplicate.rows_file import MINHASH_ITEM
from scripts.deduplicate.signatures import SCHEMA
from tests.benchmarks.corpus import prose_and_code, size, translations
from tests.benchmarks.timing import Row, seconds, table

_BANDS, _ROWS, _SHINGLE_WORDS, _SEED = 14, 8, 5, 1
_PERMUTATIONS = _BANDS * _ROWS
_SIGNATURES = 200_000
_NEAR_COPIES = 0.3  # of the signatures that are made up
_CHANGED = 0.1  # of a near copy's values
_PEER_MEGABYTES = {"datasketch": 8.0, "rensa": 8.0, "datatrove": 1.0}  # enough for a steady figure

Sign = Callable[[Sequence[str]], Any]


def rows(texts: list[str]) -> list[Row]:
    return [*signing_rows("text to MinHash signature", texts), clustering_row(_SIGNATURES)]


def signing_rows(stage: str, texts: list[str]) -> list[Row]:
    """Measure ours on all texts, each peer on an even share of them."""
    column = pa.array(texts, pa.large_string())
    ours = size(texts) / 1e6 / seconds(lambda: _sign(column))
    result = []
    for name, make_peer, target in _PEERS:
        try:
            sign = make_peer()
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        package = name.split()[0]
        few = texts[:: max(1, round(size(texts) / 1e6 / _PEER_MEGABYTES[package]))]
        theirs = size(few) / 1e6 / seconds(lambda sign=sign, few=few: sign(few))
        result.append(Row(stage, name, "MB", ours, theirs, target))
    return result


def clustering_row(count: int) -> Row:
    """Measure ours from files to files, as the job runs, datasketch from memory to memory."""
    from datasketch import MinHash, MinHashLSH

    with TemporaryDirectory() as folder:
        artifact = write_signatures(Path(folder, "signatures"), count)
        ours = seconds(lambda: cluster(Path(folder, "duplicates"), artifact))
        values = np.load(artifact.member("minhash.npy"))
    minhashes = [MinHash(_PERMUTATIONS, _SEED, hashvalues=row, scheme="affine32") for row in values]

    def theirs() -> None:
        index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, _ROWS))
        roots: dict[int, int] = {}
        for number, minhash in enumerate(minhashes):
            roots[number] = min((roots[key] for key in index.query(minhash)), default=number)
            index.insert(number, minhash)

    peer = seconds(theirs, runs=1)
    stage = f"cluster {count:,} signatures"
    return Row(stage, "datasketch MinHashLSH", "documents", count / ours, count / peer, 15)


def memory(counts: Sequence[int]) -> str:
    """Return a table of the time and of the anonymous memory that clustering takes.

    What the system caches of the files is not anonymous: it goes when others need the memory. Each
    is a process of its own, as memory that a process has had once it keeps.
    """
    lines = ["| documents | processor s | peak MB | bytes a document |", "|" + "---|" * 4]
    for count in counts:
        with TemporaryDirectory() as folder:
            write_signatures(Path(folder), count)
            call = f"from tests.benchmarks.deduplicate import measure; measure({folder!r})"
            done = subprocess.run(
                [sys.executable, "-c", call], cwd=ROOT, check=True, capture_output=True, text=True
            )
        taken, peak = map(float, done.stdout.split())
        lines.append(f"| {count:,} | {taken:.1f} | {peak / 1e6:.0f} | {peak / count:.0f} |")
    return "\n".join(lines)


def measure(folder: str) -> None:
    """Cluster a folder's signatures; print the seconds taken and by how much memory rose."""
    artifact = Artifact.load(Path(folder, "content.json"))
    before = _anonymous()
    with _peak_memory() as peak:
        taken = seconds(lambda: cluster(Path(folder, "duplicates"), artifact), runs=1)
    print(taken, peak[0] - before)


def write_signatures(folder: Path, count: int) -> Artifact:
    """Write made-up signatures, some of which are near copies of others, as a shard's artifact."""
    random = np.random.default_rng(0)
    draft = Draft(folder)
    with rows_file.writing(draft.path("minhash.npy"), count, _PERMUTATIONS, MINHASH_ITEM) as append:
        for start in range(0, count, 50_000):
            append(_made_up(random, min(50_000, count - start)))
    columns = [
        pa.array(random.permutation(count)),
        pa.array(np.zeros(count, np.bool_)),
        pa.array([number.to_bytes(16, "little") for number in range(count)], pa.binary(16)),
        pa.array(np.zeros(count, np.bool_)),
    ]
    tables.write(pa.table(columns, schema=SCHEMA), draft.path("signatures.parquet"))
    members = {name: {"size": draft.path(name).stat().st_size} for name in draft.member_names()}
    content = {"counts": {"documents": count}, "members": members}
    Path(folder, "content.json").write_text(json.dumps(content))
    return Artifact.load(folder / "content.json")


def cluster(folder: Path, artifact: Artifact) -> None:
    settings = clusters.Settings(
        bands=_BANDS,
        rows=_ROWS,
        permutations=_PERMUTATIONS,
        threshold=(1 / _BANDS) ** (1 / _ROWS),
        semantic=False,
        preference=["s"],
        shards={"s": 1},
    )
    folder.mkdir(exist_ok=True)
    clusters.build(Draft(folder), {("s", 0): artifact}, None, settings)


def _made_up(random: np.random.Generator, count: int) -> NDArray[np.uint32]:
    values = random.integers(0, 2**32, (count, _PERMUTATIONS), dtype=np.uint32)
    copies = int(count * _NEAR_COPIES)
    originals = values[random.integers(0, count - copies, copies)]
    changed = random.random(originals.shape) < _CHANGED
    values[count - copies :] = np.where(changed, values[count - copies :], originals)
    return values


@contextmanager
def _peak_memory() -> Iterator[list[int]]:
    """Yield a list whose one entry is, at the end, the most anonymous memory meanwhile."""
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], _anonymous())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield peak
    done.set()
    watcher.join()


def _anonymous() -> int:
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def _sign(column: pa.LargeStringArray) -> None:
    parameters = permutations(_PERMUTATIONS, _SEED)
    for start in range(0, len(column), tables.ROW_GROUP_ROWS):
        texts = Texts.of_column(column.slice(start, tables.ROW_GROUP_ROWS))
        signatures(shingles(texts, _SHINGLE_WORDS), parameters)


def _shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    starts = range(max(len(words) - _SHINGLE_WORDS + 1, min(len(words), 1)))
    return {" ".join(words[start : start + _SHINGLE_WORDS]) for start in starts}


def _datasketch(hash_name: str) -> Sign:
    from datasketch import MinHash
    from datasketch.hashfunc import sha1_hash32

    if hash_name == "xxh32":
        import xxhash

        hashfunc = xxhash.xxh32_intdigest
    else:
        hashfunc = sha1_hash32

    def sign(texts: Sequence[str]) -> None:
        for text in texts:
            minhash = MinHash(_PERMUTATIONS, _SEED, hashfunc=hashfunc)
            minhash.update_batch([shingle.encode() for shingle in _shingles(text)])

    return sign


def _rensa() -> Sign:
    from rensa import RMinHash

    def sign(texts: Sequence[str]) -> None:
        for text in texts:
            minhash = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
            minhash.update(list(_shingles(text)))
            minhash.digest()

    return sign


def _datatrove() -> Sign:
    import importlib.metadata  # noqa: F401  datatrove looks into it without importing it

    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig(
        n_grams=_SHINGLE_WORDS, num_buckets=_BANDS, hashes_per_bucket=_ROWS, seed=_SEED
    )
    step = MinhashDedupSignature("unused", config=config)

    def sign(texts: Sequence[str]) -> None:
        for text in texts:
            step.get_signature(step.get_shingles(text))

    return sign


_PEERS: tuple[tuple[str, Callable[[], Sign], float], ...] = (
    ("datasketch xxh32", lambda: _datasketch("xxh32"), 15),
    ("datasketch sha1", lambda: _datasketch("sha1"), 15),
    ("rensa R", _rensa, 8),
    ("datatrove", _datatrove, 100),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=float, default=100)
    megabytes = options.parse_args().megabytes
    texts = prose_and_code(megabytes)
    print(f"{len(texts):,} documents, {size(texts) / 1e6:,.0f} MB\n")
    print(table(rows(texts)), end="\n\n")
    try:
        print(table(signing_rows("the same, many scripts", translations())), end="\n\n")
    except ImportError as error:
        print(f"Translations are left out: {error}\n")
    print(memory([50_000, 200_000, 800_000, 3_200_000]))


if __name__ == "__main__":
    main()
