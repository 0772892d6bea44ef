"""The n-grams that decontamination looks for, and the canary that proves it looks.

Words are those of GPT-3's appendix C (Brown et al. 2020, arXiv:2005.14165): lower-cased, without
punctuation. A gram's identity is the XXH64 of its words joined by spaces; among 10**12 n-grams of
documents and 10**6 of items a chance match is expected 0.05 times.
"""

import hashlib

import pyarrow as pa

MIN_WORDS = 5  # a shorter item is no evidence of contamination

GRAMS = pa.schema(
    [
        pa.field("words", pa.int32(), nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
    ]
)

CANARY = "canary"  # both its task and its item
_CANARY_EXTRA_WORDS = 2


def canary_item(ngram_words: int) -> str:
    """Return the text of an item that no document holds: words that are hashes, not written out."""
    count = ngram_words + _CANARY_EXTRA_WORDS
    digests = (hashlib.blake2b(f"canary {ngram_words} {index}".encode()) for index in range(count))
    return " ".join(digest.hexdigest()[:12] for digest in digests)


def canary_document(ngram_words: int) -> str:
    """Return a document that holds the canary, in capitals and with punctuation."""
    return f"Before it: “{', '.join(canary_item(ngram_words).upper().split())}!” After it.\n"


def canary_grams(ngram_words: int) -> int:
    """Return how many n-grams of the canary a scan of its document must find."""
    return len(canary_item(ngram_words).split()) - ngram_words + 1
