from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.common import layout
from scripts.common.batch_plan import BatchPlan, Stretch
from scripts.common.errors import UserError
from scripts.train.batches import Batches, Order
from scripts.train.loss import IGNORED
from tests.train.conftest import make_order, make_tokens


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20), data=st.data())
def test_rows_are_the_tokens_of_their_segments_with_no_target_across_documents(
    workdir: Path, lengths: list[int], data: st.DataObject
) -> None:
    documents, first = [], 0
    for length in lengths:
        documents.append(list(range(first, first + length)))  # a token is its own place
        first += length
    stretches = [
        Stretch(*data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(2, 8))))
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    segments, batch_rows = [], []  # the latter: the rows of each batch
    contexts = [one.context for one in stretches for _ in range(one.batches * one.rows)]
    for one in stretches:
        for _ in range(one.batches):
            first_row = batch_rows[-1].stop if batch_rows else 0
            batch_rows.append(range(first_row, first_row + one.rows))
    for row, context in enumerate(contexts):
        left = context
        while left:
            length = data.draw(st.integers(1, min(left, first)))
            start = data.draw(st.integers(0, first - length))
            segments.append((row, "web", 0, start, length))
            left -= length
    stores = {("web", 0): make_tokens("web", documents).path}
    order = Order(make_order("base", segments), BatchPlan(tuple(stretches)))
    batches = Batches(order, stores)
    assert order.source_shards == [("web", 0)]
    assert len(batches) == len(batch_rows)

    document_starts = {document[0] for document in documents}
    for step in range(len(batches)):
        batch = batches[step]
        assert batch.input_ids_BT.shape == (len(batch_rows[step]), contexts[batch_rows[step][0]])
        for place, row in enumerate(batch_rows[step]):
            ids, positions = [], []
            for _, _, _, start, length in (s for s in segments if s[0] == row):
                for token in range(start, start + length):
                    starts = token == start or token in document_starts
                    ids.append(token)
                    positions.append(0 if starts else positions[-1] + 1)
            labels = [i if p else IGNORED for i, p in zip(ids, positions, strict=True)]
            assert batch.input_ids_BT[place].tolist() == ids
            assert batch.position_ids_BT[place].tolist() == positions
            assert batch.labels_BT[place].tolist() == labels


def test_the_split_parts_make_up_the_batch(world: Path) -> None:
    segments = [(row, "web", 0, row * 16, 16) for row in range(5)]
    order = Order(make_order("base", segments), BatchPlan.of(80, 80, 16))
    batch = Batches(order, {("web", 0): layout.tokens("bpe", "web", 0)})[0]
    parts = batch.split(2)
    assert [part.input_ids_BT.shape[0] for part in parts] == [2, 2, 1]
    assert np.concatenate([part.labels_BT for part in parts]).tolist() == batch.labels_BT.tolist()
    assert sum(part.targets for part in parts) == batch.targets


@pytest.mark.parametrize(
    ("segments", "named"),
    [
        ([(0, "web", 0, 0, 15), (1, "web", 0, 0, 16)], "row 0: 15 tokens"),
        ([(0, "web", 0, 0, 16), (2, "web", 0, 0, 16)], "not 0, 1, 2"),
        ([(1, "web", 0, 0, 16)], "not 0, 1, 2"),
        ([(0, "web", 0, 0, 16)], "1 rows, but the phase's batches have 2"),
        ([(0, "web", 0, 0, 16), (1, "web", 0, 0, 8)], "row 1: 8 tokens.* context is 16 there"),
    ],
)
def test_an_order_with_other_rows_is_refused(
    workdir: Path, segments: list[tuple[int, str, int, int, int]], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        Order(make_order("base", segments), BatchPlan.of(32, 16, 16))


def test_a_segment_past_the_end_of_its_store_is_refused(workdir: Path) -> None:
    tokens = {("web", 0): make_tokens("web", [[0, 5, 6, 1]]).path}
    order = Order(make_order("base", [(0, "web", 0, 2, 4)]), BatchPlan.of(4, 4, 4))
    with pytest.raises(UserError, match=r"row 0: tokens 2 to 6 of web/0, which has 4"):
        Batches(order, tokens)[0]
