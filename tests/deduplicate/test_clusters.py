"""Clusters against all pairs compared in plain Python, and the programs on real files."""

import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.errors import UserError
from scripts.deduplicate import clusters
from scripts.deduplicate.lsh import fuzzy_roots, matches_required
from scripts.deduplicate.signatures import schema

BANDS, ROWS = 3, 2
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
    threshold = (1 / BANDS) ** (1 / ROWS)
    return same_band(one, other) and agreeing / (BANDS * ROWS) >= threshold


MINHASHES = st.tuples(*[st.integers(0, 2)] * (BANDS * ROWS))


@settings(deadline=None)
@given(st.lists(MINHASHES, max_size=25))
def test_fuzzy_roots_are_those_of_all_pairs(minhashes: list[tuple[int, ...]]) -> None:
    pairs = [
        (i, j)
        for j, other in enumerate(minhashes)
        for i, one in enumerate(minhashes[:j])
        if nearly_same(one, other)
    ]
    array = np.array(minhashes, np.uint32).reshape(len(minhashes), BANDS * ROWS)
    expected = reference_roots(len(minhashes), pairs)
    assert fuzzy_roots(array, BANDS, ROWS).tolist() == expected


def test_matches_required_is_the_implied_threshold() -> None:
    assert matches_required(14, 8) == 81  # 0.7191 of 112 is 80.5
    assert matches_required(1, 4) == 4


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


def write_signatures(rows: list[Signed], shards: dict[str, int], salt: int = 0) -> None:
    shares = defaultdict(list)
    for row in rows:
        shares[row.source, (row.id ^ salt) % shards[row.source]].append(row)
    for source, count in shards.items():
        for shard in range(count):
            columns = [
                {
                    "id": row.id,
                    "heldout": row.heldout,
                    "exact": row.exact.to_bytes(16, "big"),
                    "minhash": row.minhash and np.array(row.minhash, "<u4").tobytes(),
                }
                for row in sorted(shares[source, shard], key=lambda row: row.heldout)
            ]
            table = pa.Table.from_pylist(columns, schema=schema(BANDS * ROWS))
            make(
                lambda draft, table=table: tables.write(table, draft.path("signatures.parquet")),
                output=layout.signatures(source, shard),
                module="scripts.common.files",
                settings={"salt": salt},
                inputs=[],
            )


def cluster(monkeypatch: pytest.MonkeyPatch, shards: dict[str, int], rows: int = ROWS) -> Artifact:
    settings = clusters.Settings(bands=BANDS, rows=rows, preference=SOURCES, shards=shards)
    monkeypatch.setattr(sys, "argv", ["clusters", "--settings", settings.model_dump_json()])
    clusters.main()
    return Artifact.load(layout.duplicates())


def verdicts_of(artifact: Artifact) -> dict[int, tuple[str, int] | None]:
    found = {}
    for source in SOURCES:
        table = tables.read(artifact.member(f"{source}.parquet"))
        assert table.schema.equals(clusters.SCHEMA)
        for row in table.to_pylist():
            assert (row["kind"] is None) == (row["keeper"] is None)
            found[row["id"]] = (row["kind"], row["keeper"]) if row["kind"] else None
    return found


def judged(rows: list[Signed]) -> dict[int, tuple[str, int] | None]:
    """What ``judge`` says of rows in the order given."""
    settings = clusters.Settings(
        bands=BANDS, rows=ROWS, preference=SOURCES, shards=dict.fromkeys(SOURCES, 1)
    )
    signatures = clusters.Signatures(
        source=np.array([SOURCES.index(row.source) for row in rows], np.int64),
        shard=np.zeros(len(rows), np.int32),
        id=np.array([row.id for row in rows], np.int64),
        heldout=np.array([row.heldout for row in rows], np.bool_),
        exact=np.array([(0, row.exact) for row in rows], np.uint64).reshape(-1, 2),
        minhash=np.array([row.minhash or (0,) * 6 for row in rows], np.uint32).reshape(-1, 6),
        wordless=np.array([row.minhash is None for row in rows], np.bool_),
    )
    verdicts = clusters.judge(signatures, settings)
    kinds = dict(enumerate(clusters.KINDS))
    return {
        row.id: (kinds[int(kind)], rows[keeper].id) if int(kind) in kinds else None
        for row, kind, keeper in zip(rows, verdicts.kind, verdicts.keeper, strict=True)
        if not row.heldout
    }


@settings(deadline=None)
@given(signed_rows(), st.randoms())
def test_verdicts_are_those_of_all_pairs_in_any_order(
    rows: list[Signed], shuffler: random.Random
) -> None:
    expected = reference_verdicts(rows)
    assert judged(rows) == expected
    shuffler.shuffle(rows)
    assert judged(rows) == expected


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
    assert verdicts_of(artifact) == EXPECTED
    assert artifact.counts["good"] == {"documents": 5, "exact": 1, "fuzzy": 0, "heldout": 1}
    assert artifact.counts["bad"] == {"documents": 3, "exact": 2, "fuzzy": 1, "heldout": 0}


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
    assert verdicts_of(cluster(monkeypatch, shards)) == {}


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
    with pytest.raises(UserError, match=r"9 permutations.*run Snakemake again"):
        cluster(monkeypatch, shards, rows=3)
