"""From words to characters."""

import weakref

from scripts.common.texts import Texts
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.spans import Spans


def test_a_batch_is_let_go_with_its_last_reference() -> None:
    """In a cycle of references it would stay until it is collected, and gigabytes with it."""
    texts = Texts.of_strings(["One İstanbul two", "three"])
    spans = Spans(texts, hash_words(texts))
    assert spans.characters(0, 1, 3) == (4, 12, "İstanbul")
    assert spans.characters(1, 4, 5) == (0, 5, "three")
    freed = weakref.ref(spans)
    del spans
    assert freed() is None
