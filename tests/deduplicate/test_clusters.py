"""Clusters against all pairs compared in plain Python, and the program on real files."""

import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.errors import UserError
from scripts.deduplicate import clusters, lsh, rows_file, spill
from scripts.deduplicate.rows_file import MINHASH_ITEM
from scripts.deduplicate.signatures import SCHEMA

BANDS, ROWS = 3, 2
THRESHOLD = (1 / BANDS) ** (1 / ROWS)
REQUIRED = 4  # of 6 values
SOURCES = ["good", "bad"]  # in the order of the preference


class Signed(NamedTuple):
    id: int
    source: str
    heldout: bool
    exact: int
    minhash: tuple[int, ...] | None


def reference_roots(vertices: int, edges: list[tuple[int, int]]) -> list[int]:
    """The lowest vertex of each one's component, by spreading labels until nothing changes."""
    roots = list(range(vertices))
    changed = True
    while changed:
        changed = False
        for one, other in edges:
            low = min(roots[one], roots[other])
            changed |= roots[one] != low or roots[other] != low
            roots[one] = roots[other] = low
    return roots


def same_band(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return any(
        one[band * ROWS : (band + 1) * ROWS] == other[band * ROWS : (band + 1) * ROWS]
        for band in range(BANDS)
    )


def nearly_same(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    agreeing = sum(a == b for a, b in zip(one, other, strict=True))
    return same_band(one, other) and agreeing / (BANDS * ROWS) >= THRESHOLD


MINHASHES = st.tuples(*[st.integers(0, 2)] * (BANDS * ROWS))


def buckets(minhashes: list[tuple[int, ...]], ranks: list[int]) -> Iterator[list[int]]:
    """The documents of each bucket of each band, best first."""
    for band in range(BANDS):
        found = defaultdict(list)
        for document in np.argsort(ranks).tolist():
            found[minhashes[document][band * ROWS : (band + 1) * ROWS]].append(document)
        yield from found.values()


@given(st.lists(MINHASHES, max_size=25), st.sampled_from([2, 3, 4096]), st.randoms())
def test_clusters_are_those_of_all_pairs(
    minhashes: list[tuple[int, ...]], crowded: int, shuffler: random.Random
) -> None:
    ranks = list(range(len(minhashes)))
    shuffler.shuffle(ranks)
    pairs = [
        (i, j)
        for bucket in buckets(minhashes, ranks)
        for part in (
            [bucket]
            if len(bucket) <= crowded
            else [
                bucket[:1] + bucket[start : start + crowded - 1]
                for start in range(1, len(bucket), crowded - 1)
            ]
        )
        for i in part
        for j in part
        if nearly_same(minhashes[i], minhashes[j])
    ]
    by_rank = [(ranks[i], ranks[j]) for i, j in pairs]
    expected = [np.argsort(ranks)[root] for root in reference_roots(len(ranks), by_rank)]

    array = np.array(minhashes, np.uint32).reshape(len(minhashes), BANDS * ROWS)
    documents = np.arange(len(minhashes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lsh, "CROWDED", crowded)
        patch.setattr(lsh, "_GATHERED", 5)
        joined = lsh.Clusters(np.array(ranks, np.int64))
        for band in range(BANDS):
            keys = lsh.band_keys(array, band, ROWS)
            joined.join_buckets(keys, documents, lambda chosen: array[chosen], REQUIRED)
    assert joined.roots()[np.argsort(ranks)].tolist() == expected


def test_crowded_buckets_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.array([(0, 0, 1, 1, i, i) for i in range(6)], np.uint32)
    monkeypatch.setattr(lsh, "CROWDED", 5)
    joined = lsh.Clusters(np.arange(6))
    keys = lsh.band_keys(array, 0, ROWS)
    assert joined.join_buckets(keys, np.arange(6), lambda chosen: array[chosen], 6) == 1
    assert joined.roots().tolist() == [0, 1, 2, 3, 4, 5]


def test_matches_required_reach_the_threshold() -> None:
    assert lsh.matches_required((1 / 14) ** (1 / 8), 112) == 81  # 0.7191 of 112 is 80.5
    assert lsh.matches_required(0.8, 128) == 103
    assert lsh.matches_required(0.57, 100) == 57  # as floats, 57.00000000000001
    assert lsh.matches_required(1, 4) == 4


def reference_verdicts(rows: list[Signed]) -> dict[int, tuple[str, int] | None]:
    ranked = sorted(rows, key=lambda row: (not row.heldout, SOURCES.index(row.source), row.id))
    # Identical texts have identical words: the first of each text stands for all of them.
    first: dict[int, int] = {}
    for number, row in enumerate(ranked):
        first.setdefault(row.exact, number)
    edges = [(first[row.exact], number) for number, row in enumerate(ranked)]
    spoken = [number for number in first.values() if ranked[number].minhash is not None]
    edges += [
        (i, j) for j in spoken for i in spoken
        if i < j and nearly_same(ranked[i].minhash, ranked[j].minhash)
    ]  # fmt: skip
    roots = reference_roots(len(ranked), edges)
    verdicts: dict[int, tuple[str, int] | None] = {}
    for number, row in enumerate(ranked):
        keeper = ranked[roots[number]]
        kind = "exact" if keeper.exact == row.exact else "fuzzy"
        if keeper.heldout:
            kind = "heldout"
        if not row.heldout:
            verdicts[row.id] = None if keeper is row else (kind, keeper.id)
    return verdicts


@st.composite
def signed_rows(draw: st.DrawFn) -> list[Signed]:
    ids = draw(st.lists(st.integers(0, 2**63 - 1), max_size=20, unique=True))
    return [
        Signed(
            id=one,
            source=draw(st.sampled_from(SOURCES)),
            heldout=draw(st.sampled_from([False, False, False, True])),
            exact=(exact := draw(st.integers(0, 12))),
            # A function of the text, null for texts without a word.
            minhash=None if exact < 2 else tuple(random.Random(exact).choices(range(2), k=6)),
        )
        for one in ids
    ]


def shares(rows: list[Signed], shards: dict[str, int], salt: int) -> Iterator:
    """The rows of each shard, in the order in which they are signed."""
    split = defaultdict(list)
    for row in rows:
        split[row.source, (row.id ^ salt) % shards[row.source]].append(row)
    for source, count in shards.items():
        for shard in range(count):
            yield (source, shard), sorted(split[source, shard], key=lambda row: row.heldout)


def write_shard(draft: Draft, rows: list[Signed]) -> None:
    columns = [
        {
            "id": row.id,
            "heldout": row.heldout,
            "exact": row.exact.to_bytes(16, "big"),
            "wordless": row.minhash is None,
        }
        for row in rows
    ]
    table = pa.Table.from_pylist(columns, schema=SCHEMA)
    tables.write(table, draft.path("signatures.parquet"))
    width = BANDS * ROWS
    file = draft.path("minhash.npy")
    with rows_file.writing(file, len(rows), width, MINHASH_ITEM) as append:
        for row in rows:
            append(np.array([row.minhash or (2**32 - 1,) * width], MINHASH_ITEM))
    draft.counts["documents"] = sum(not row.heldout for row in rows)


def write_signatures(rows: list[Signed], shards: dict[str, int], salt: int = 0) -> None:
    for (source, shard), mine in shares(rows, shards, salt):
        make(
            lambda draft, mine=mine: write_shard(draft, mine),
            output=layout.signatures(source, shard),
            module="scripts.common.files",
            settings={"salt": salt},
            inputs=[],
        )


def settings_for(shards: dict[str, int], **changes) -> clusters.Settings:
    values = {
        "bands": BANDS, "rows": ROWS, "permutations": BANDS * ROWS, "threshold": THRESHOLD,
        "semantic": False, "preference": SOURCES, "shards": shards,
    }  # fmt: skip
    return clusters.Settings(**(values | changes))


def cluster(monkeypatch: pytest.MonkeyPatch, shards: dict[str, int], **changes) -> Artifact:
    settings = settings_for(shards, **changes)
    monkeypatch.setattr(sys, "argv", ["clusters", "--settings", settings.model_dump_json()])
    clusters.main()
    return Artifact.load(layout.duplicates())


def verdicts_of(folder: Path) -> dict[int, tuple[str, int] | None]:
    found = {}
    for source in SOURCES:
        table = tables.read(folder / f"{source}.parquet")
        assert table.schema.equals(clusters.SCHEMA)
        for row in table.to_pylist():
            assert (row["kind"] is None) == (row["keeper"] is None)
            found[row["id"]] = (row["kind"], row["keeper"]) if row["kind"] else None
    return found


class Unchecked(Artifact):
    """An artifact without records, for many small ones."""

    def member(self, name: str) -> Path:
        return self.folder / name


def judged(
    rows: list[Signed], shards: dict[str, int], salt: int
) -> dict[int, tuple[str, int] | None]:
    with tempfile.TemporaryDirectory() as folder:
        artifacts = {}
        for (source, shard), mine in shares(rows, shards, salt):
            draft = Draft(Path(folder, source, str(shard)))
            write_shard(draft, mine)
            content = {"counts": draft.counts, "members": {}}
            artifacts[source, shard] = Unchecked(draft.folder / "content.json", content)
        draft = Draft(Path(folder, "duplicates"))
        draft.folder.mkdir()
        clusters.build(draft, artifacts, None, settings_for(shards))
        assert draft.member_names() == sorted(f"{source}.parquet" for source in SOURCES)
        return verdicts_of(draft.folder)


@given(
    signed_rows(),
    st.fixed_dictionaries({source: st.integers(1, 3) for source in SOURCES}),
    st.integers(0, 3),
    st.sampled_from([3, spill.PART_RECORDS]),
)
def test_verdicts_are_those_of_all_pairs_however_sharded(
    rows: list[Signed], shards: dict[str, int], salt: int, part_records: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "PART_RECORDS", part_records)
        assert judged(rows, shards, salt) == reference_verdicts(rows)


def example_rows() -> list[Signed]:
    near, nearer, far = (1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 2), (7, 8, 9, 7, 8, 9)
    return [
        Signed(50, "good", False, 1, near),
        Signed(40, "good", False, 1, near),  # lower id: kept
        Signed(10, "bad", False, 2, nearer),  # lower id, but of the less preferred source
        Signed(11, "bad", False, 1, near),
        Signed(90, "bad", True, 3, far),
        Signed(20, "good", False, 3, far),  # held out by another source
        Signed(5, "good", False, 4, None),
        Signed(6, "good", False, 5, None),  # without a word, and another text
        Signed(7, "bad", False, 4, None),
    ]


EXPECTED = {
    50: ("exact", 40), 40: None, 10: ("fuzzy", 40), 11: ("exact", 40), 20: ("heldout", 90),
    5: None, 6: None, 7: ("exact", 5),
}  # fmt: skip


@pytest.mark.parametrize(("shards", "salt"), [((1, 1), 0), ((3, 2), 0), ((2, 4), 1)])
def test_number_of_shards_changes_nothing(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, shards: tuple[int, int], salt: int
) -> None:
    numbers = dict(zip(SOURCES, shards, strict=True))
    write_signatures(example_rows(), numbers, salt)
    artifact = cluster(monkeypatch, numbers)
    assert verdicts_of(artifact.folder) == EXPECTED
    assert artifact.counts == {
        "crowded_buckets": 0,
        "sources": {
            "good": {"documents": 5, "exact": 1, "fuzzy": 0, "semantic": 0, "heldout": 1},
            "bad": {"documents": 3, "exact": 2, "fuzzy": 1, "semantic": 0, "heldout": 0},
        },
    }


def test_rows_are_those_of_the_shards_in_order(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = {"good": 2, "bad": 1}
    write_signatures(example_rows(), shards)
    table = tables.read(cluster(monkeypatch, shards).member("good.parquet"))
    assert table["shard"].to_pylist() == [0, 0, 0, 0, 1]
    for shard in range(2):
        signed = tables.read(Artifact.load(layout.signatures("good", shard)).folder
                             / "signatures.parquet")  # fmt: skip
        ids = [row["id"] for row in signed.to_pylist() if not row["heldout"]]
        mine = [row["id"] for row in table.to_pylist() if row["shard"] == shard]
        assert mine == ids


def test_empty_shards(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = {"good": 2, "bad": 1}
    write_signatures([], shards)
    assert verdicts_of(cluster(monkeypatch, shards).folder) == {}


def test_copies_with_one_id_keep_one(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = {"good": 1, "bad": 1}
    twin = Signed(3, "good", False, 1, (1,) * 6)
    write_signatures([twin, twin], shards)
    table = tables.read(cluster(monkeypatch, shards).member("good.parquet"))
    assert table["kind"].to_pylist() == [None, "exact"]


def test_other_number_of_permutations_is_refused(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = {"good": 1, "bad": 1}
    write_signatures([], shards)
    with pytest.raises(UserError, match=r"minhash.npy holds uint32 \[0, 6\], not uint32 \[0, 9\]"):
        cluster(monkeypatch, shards, rows=3, permutations=9)
