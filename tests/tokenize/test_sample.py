from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import UserError
from scripts.tokenize.sample import budgets, sample
from tests.tokenize.data import write_shard


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**6), min_size=1),
    st.integers(1, 10**6),
)
def test_budgets_hold(sizes: dict[str, int], total: int) -> None:
    shared = budgets(sizes, total)
    assert sum(shared.values()) <= total
    assert all(0 <= shared[source] <= size for source, size in sizes.items())
    floor = int(0.1 * total / len(sizes))
    assert all(shared[source] >= min(floor, size) for source, size in sizes.items())
    if sum(sizes.values()) >= total:
        assert sum(shared.values()) > total - len(sizes)


def test_a_small_source_is_heard() -> None:
    assert budgets({"large": 10**9, "small": 10**4}, 10**5)["small"] >= 5000


def texts(count: int) -> list[str]:
    return [f"text {number} " + "x" * (number % 90) for number in range(count)]


def test_a_sample_fits_and_ignores_shards(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 100)
    all_texts = texts(2000)
    whole = [write_shard("whole", all_texts)]
    halves = [
        write_shard("halves", all_texts[1200:], shard=0, first_id=1201),
        write_shard("halves", all_texts[:1200], shard=1),
    ]
    one, other = (list(sample({"web": shards}, 20_000)) for shards in (whole, halves))
    assert one == other
    assert 15_000 < sum(len(text.encode()) for text in one) <= 20_000
    assert len(set(one)) == len(one)
    positions = [all_texts.index(text) for text in one]
    assert min(positions) < 200  # from all over, not the head
    assert max(positions) > 1800


def test_everything_is_sampled_where_it_fits_but_what_was_dropped(workdir: Path) -> None:
    shard = write_shard("web", ["a", "béa", "c"], dropped=[3])
    assert sorted(sample({"web": [shard]}, 1000)) == ["a", "béa"]
    assert sorted(sample({"web": [shard], "empty": [write_shard("empty", [])]}, 4)) != []


def test_a_sample_is_of_edited_texts(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 2)
    edits = {number: [{"start": 1, "end": 3, "text": "<IP>"}] for number in (2, 5)}
    shard = write_shard("web", ["aéié"] * 5, dropped=[4], edited=edits)
    assert sorted(sample({"web": [shard]}, 1000)) == ["a<IP>é"] * 2 + ["aéié"] * 2


def test_a_selection_of_other_documents_is_an_error(workdir: Path) -> None:
    documents, _ = write_shard("web", ["a", "b"])
    _, selection = write_shard("books", ["a", "b"], first_id=5)
    with pytest.raises(UserError, match="not aligned"):
        list(sample({"web": [(documents, selection)]}, 1000))
