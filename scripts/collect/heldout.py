"""The held-out split: by the hash of the text, so that equal texts fall on the same side."""

import hashlib

_HASH_BYTES = 8
_HASHES = 1 << (8 * _HASH_BYTES)


def is_held_out(text: str, fraction: float) -> bool:
    """Tell whether a document is held out, given the expected fraction of those that are.

    The decision depends on the text alone: it survives new shards, sources and row orders, and a
    larger fraction holds out a superset.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES, person=b"held-out").digest()
    return int.from_bytes(digest, "big") < fraction * _HASHES
