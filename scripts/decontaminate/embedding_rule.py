"""The embedding rule: the cosine of an item and of a place in a document, by an encoder."""

import numpy as np
from numpy.typing import NDArray

from scripts.common.config.decontaminate import EmbeddingRule
from scripts.decontaminate import embedding
from scripts.decontaminate.embedding import SentenceEncoder
from scripts.decontaminate.grams import MIN_WORDS
from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.items import Items
from scripts.decontaminate.lcs import Aligner
from scripts.decontaminate.matching import Effort, Floats, Ints, Matches, least_scores

_WHOLE = 0.999  # the cosine of an item with itself, in other capitals and spaces


class EmbeddingMatcher:
    """How near a document's windows are to an item."""

    def __init__(
        self,
        rule: EmbeddingRule,
        items: Items,
        embeddings: NDArray[np.float32],
        encoder: SentenceEncoder,
    ) -> None:
        """``embeddings`` are those of the items."""
        self.rule, self.effort = rule, Effort()
        self._items, self._embeddings, self._encoder = items, embeddings, encoder
        self._wanted = np.flatnonzero(items.words.counts >= MIN_WORDS)
        self._tiers = embedding.tiers(items.words.counts[self._wanted])
        self._aligner = Aligner(items.words, self._wanted, rule.shared)

    def least(self, threshold: float | None = None) -> Floats:
        return least_scores(self._items, self.rule, threshold, whole=_WHOLE)

    def match(self, words: HashedWords, least: Floats) -> Matches:
        self.effort.documents += len(words.counts)
        if self.rule.windows == "all":
            return self._all_windows(words, least)
        return self._candidates(words, least)

    def _candidates(self, words: HashedWords, least: Floats) -> Matches:
        """Compare an item with the places that have some of its words in order."""
        wanted = np.ceil(self.rule.common * self._aligner.lengths - 1e-9).astype(np.int64)
        found, _, _ = self._aligner.align(words, wanted)
        begin, end = found.place_begin, found.place_end
        spans, span = np.unique(np.stack([begin, end]), axis=1, return_inverse=True)
        embeddings = self._embed(words, spans[0], spans[1])
        self.effort.candidates += len(np.unique(found.document))
        pairs = np.einsum("pd,pd->p", embeddings[span], self._embeddings[found.item])
        score = embedding.rounded(pairs)
        unknown = np.full(len(score), -1, np.int64)
        matches = Matches(found.document, found.item, score, unknown, begin, end)
        return matches.where(score >= least[found.item]).best()

    def _all_windows(self, words: HashedWords, least: Floats) -> Matches:
        """Compare an item with all windows of about its length."""
        found: list[Matches] = []
        self.effort.candidates += int((words.counts > 0).sum())
        for tier in np.unique(self._tiers):
            items = self._wanted[self._tiers == tier]
            begin, end = embedding.windows(words, embedding.WINDOW_WORDS[tier])
            embeddings = self._embed(words, begin, end)
            near = embedding.near(embeddings, self._embeddings[items], least[items])
            for window, item, score in near:
                unknown = np.full(len(score), -1, np.int64)
                places = (words.document_of(begin[window]), items[item], score, unknown)
                found.append(Matches(*places, begin[window], end[window]).best())
        return Matches.joined(found).best()

    def _embed(self, words: HashedWords, begin: Ints, end: Ints) -> NDArray[np.float32]:
        self.effort.comparisons += len(begin)
        if not len(begin):  # and the encoder need not be opened
            return np.empty((0, self._embeddings.shape[1]), np.float32)
        return self._encoder.embed(embedding.window_text(words, begin, end))
