"""Sampling by the hash of a document's id: the same documents in any order, shard count or run."""

import hashlib

import numpy as np
from numpy.typing import NDArray

_MANTISSA_BITS = 53


def uniform(ids: NDArray[np.int64], purpose: str) -> NDArray[np.float64]:
    """Return one number in [0, 1) per id, which depends on nothing but the id and ``purpose``.

    ``purpose`` names the decision, so that two samples of the same documents are independent. The
    mixing function is SplitMix64's (Steele et al., 2014).
    """
    salt = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    state = ids.astype(np.uint64) ^ np.uint64(salt)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(64 - _MANTISSA_BITS)) / float(1 << _MANTISSA_BITS)
