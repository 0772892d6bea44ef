"""The rules of a run, opened on its index and applied from the cheapest to the dearest."""

from collections.abc import Iterator, Sequence

import numpy as np

from scripts.common import tables
from scripts.common.artifact import Artifact
from scripts.common.config.decontaminate import AnyRule, Encoder
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from scripts.decontaminate import canary
from scripts.decontaminate.embedding import SentenceEncoder
from scripts.decontaminate.embedding_rule import EmbeddingMatcher
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.hybrid_rule import HybridMatcher
from scripts.decontaminate.items import Items
from scripts.decontaminate.matching import Effort, Matcher
from scripts.decontaminate.ngram_rule import GramIndex, NgramMatcher

LEVELS = ("ngram", "hybrid", "embedding")  # from cheap to dear


class Rules:
    """Matchers for all rules."""

    def __init__(self, index: Artifact, rules: Sequence[AnyRule]) -> None:
        self.items = Items.read(index)
        self.grams = GramIndex(self.items, tables.read(index.member("grams.parquet")))
        self._index = index
        self.matchers = sorted(
            map(self._open, rules), key=lambda matcher: LEVELS.index(matcher.rule.kind)
        )

    def _open(self, rule: AnyRule) -> Matcher:
        if rule.kind == "ngram":
            return NgramMatcher(rule, self.grams)
        if rule.kind == "hybrid":
            return HybridMatcher(rule, self.items)
        file = self._index.member(f"embeddings/{rule.name}.npy")
        embeddings = np.load(file, allow_pickle=False)
        encoder = Encoder(path=rule.path, pooling=rule.pooling, max_tokens=rule.max_tokens)
        return EmbeddingMatcher(rule, self.items, embeddings, SentenceEncoder(encoder))

    def levels(self) -> Iterator[list[Matcher]]:
        for kind in LEVELS:
            if level := [matcher for matcher in self.matchers if matcher.rule.kind == kind]:
                yield level

    def check_canary(self) -> None:
        """Raise UserError unless every rule finds the canary in a document that holds it.

        What that took is not counted as effort.
        """
        for matcher in self.matchers:
            words = hash_words(Texts.of_strings(["", _canary_document(matcher)]))
            found = matcher.match(words, matcher.least())
            if not ((found.document == 1) & (found.item == self.items.canary)).any():
                raise UserError(
                    f"rule {matcher.rule.name!r} did not find the planted canary, so it would find "
                    f"nothing else: delete {self._index.path} and run Snakemake again"
                )
            matcher.effort = Effort()


def _canary_document(matcher: Matcher) -> str:
    """Return a document with the canary, which encoders need not know in capitals."""
    return canary.item() if matcher.rule.kind == "embedding" else canary.disguised()
