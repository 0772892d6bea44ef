import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.keyed_hash import keyed_hash

_MASK = (1 << 64) - 1


@given(st.lists(st.integers(0, 2**63 - 1)), st.text("abc/0"))
def test_it_equals_the_published_finaliser(ids: list[int], key: str) -> None:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    offset = int.from_bytes(digest, "little")
    hashes = keyed_hash(np.array(ids, np.int64), key).tolist()
    assert hashes == [splitmix64((one + offset) & _MASK) for one in ids]


def splitmix64(state: int) -> int:
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def test_keys_order_alike_ids_differently() -> None:
    ids = np.arange(1000)
    one, other = (np.argsort(keyed_hash(ids, key)) for key in ("a", "b"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
