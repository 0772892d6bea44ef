"""The canary: an item that no document holds, and documents that hold it.

A scan that looks for nothing must not pass for one that finds nothing, so each run plants it.
"""

import hashlib

CANARY = "canary"  # both its benchmark and its name
_WORDS = 24


def item() -> str:
    """Return the item's text: words that are hashes, not written out here."""
    digests = (hashlib.blake2b(f"canary {index}".encode()) for index in range(_WORDS))
    return " ".join(digest.hexdigest()[:12] for digest in digests)


def disguised() -> str:
    """Return a document that holds the canary in capitals and with punctuation."""
    return f"Before it: “{', '.join(item().upper().split())}!” After it.\n"
