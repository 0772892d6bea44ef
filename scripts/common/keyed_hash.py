"""Keyed hashes of document ids: the same sample or shuffle whatever the shards and their order."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def keyed_hash(ids: NDArray[np.int64], key: str) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each id that depends on ``key``: distinct ids never collide.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, Fast splittable pseudorandom number
    generators), a bijection, over the ids offset by the key's BLAKE2b.
    """
    offset = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
    mixed = ids.astype(np.uint64) + np.uint64(offset)  # wraps around, as all of this does
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
