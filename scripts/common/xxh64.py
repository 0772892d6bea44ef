"""XXH64 of many slices of one buffer, compiled.

The algorithm is Yann Collet's xxHash, 64-bit variant, seed 0
(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md); the results equal those of the
``xxhash`` package. All compiled functions of a file call each other only: numba's cache notices an
edited file, not an edited import.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_PRIME_1 = np.uint64(0x9E3779B185EBCA87)
_PRIME_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_PRIME_3 = np.uint64(0x165667B19E3779F9)
_PRIME_4 = np.uint64(0x85EBCA77C2B2AE63)
_PRIME_5 = np.uint64(0x27D4EB2F165667C5)


def xxh64_slices(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return the XXH64 of ``data[start:end]`` for each pair of ``starts`` and ``ends``.

    ``data`` must be contiguous; ``starts`` and ``ends`` have one length, that of the result. Raises
    IndexError for a slice that is not within ``data``.
    """
    if len(starts) and (starts.min() < 0 or ends.max() > len(data) or (starts > ends).any()):
        raise IndexError(f"a slice is not within the {len(data)} bytes of data")
    hashes: NDArray[np.uint64] = _hash_slices(data, starts, ends)
    return hashes


@njit("uint64(uint64, uint64)", cache=True, nogil=True)
def _rotate(value, bits):  # type: ignore[no-untyped-def]
    return (value << bits) | (value >> (np.uint64(64) - bits))


@njit("uint64(uint64, uint64)", cache=True, nogil=True)
def _round(state, lane):  # type: ignore[no-untyped-def]
    return _rotate(state + lane * _PRIME_2, np.uint64(31)) * _PRIME_1


@njit("uint64(uint64, uint64)", cache=True, nogil=True)
def _merge(state, lane):  # type: ignore[no-untyped-def]
    return (state ^ _round(np.uint64(0), lane)) * _PRIME_1 + _PRIME_4


@njit("uint64(uint8[::1], int64)", cache=True, nogil=True)
def _four_bytes(data, at):  # type: ignore[no-untyped-def]
    return (
        np.uint64(data[at])
        | np.uint64(data[at + 1]) << np.uint64(8)
        | np.uint64(data[at + 2]) << np.uint64(16)
        | np.uint64(data[at + 3]) << np.uint64(24)
    )


@njit("uint64(uint8[::1], int64)", cache=True, nogil=True)
def _eight_bytes(data, at):  # type: ignore[no-untyped-def]
    return _four_bytes(data, at) | _four_bytes(data, at + 4) << np.uint64(32)


@njit("uint64(uint8[::1], int64, int64)", cache=True, nogil=True)
def _xxh64(data, start, end):  # type: ignore[no-untyped-def]
    at = start
    if end - start >= 32:
        first = _PRIME_1 + _PRIME_2
        second = _PRIME_2
        third = np.uint64(0)
        fourth = np.uint64(0) - _PRIME_1
        while end - at >= 32:
            first = _round(first, _eight_bytes(data, at))
            second = _round(second, _eight_bytes(data, at + 8))
            third = _round(third, _eight_bytes(data, at + 16))
            fourth = _round(fourth, _eight_bytes(data, at + 24))
            at += 32
        state = (
            _rotate(first, np.uint64(1))
            + _rotate(second, np.uint64(7))
            + _rotate(third, np.uint64(12))
            + _rotate(fourth, np.uint64(18))
        )
        state = _merge(_merge(_merge(_merge(state, first), second), third), fourth)
    else:
        state = _PRIME_5
    state += np.uint64(end - start)
    while end - at >= 8:
        state ^= _round(np.uint64(0), _eight_bytes(data, at))
        state = _rotate(state, np.uint64(27)) * _PRIME_1 + _PRIME_4
        at += 8
    if end - at >= 4:
        state ^= _four_bytes(data, at) * _PRIME_1
        state = _rotate(state, np.uint64(23)) * _PRIME_2 + _PRIME_3
        at += 4
    while at < end:
        state ^= np.uint64(data[at]) * _PRIME_5
        state = _rotate(state, np.uint64(11)) * _PRIME_1
        at += 1
    state = (state ^ (state >> np.uint64(33))) * _PRIME_2
    state = (state ^ (state >> np.uint64(29))) * _PRIME_3
    return state ^ (state >> np.uint64(32))


@njit("uint64[::1](uint8[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _hash_slices(data, starts, ends):  # type: ignore[no-untyped-def]
    hashes = np.empty(len(starts), np.uint64)
    for index in range(len(starts)):
        hashes[index] = _xxh64(data, starts[index], ends[index])
    return hashes
