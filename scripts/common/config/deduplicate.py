"""How duplicates are told."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.config.base import Model, Name

Count = Annotated[int, Field(gt=0)]


class Lsh(Model):
    """MinHash-LSH: documents that agree in all rows of a band are compared.

    They are near-duplicates if their MinHashes agree in ``threshold`` of ``permutations`` values;
    unless given, those are all that the bands have and the similarity that the bands imply,
    (1 / bands) ** (1 / rows).
    """

    bands: Count
    rows: Count
    permutations: Count | None = None
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _enough_permutations(self) -> "Lsh":
        if self.permutations is not None and self.permutations < self.bands * self.rows:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} "
                f"permutations, not {self.permutations}"
            )
        return self

    @property
    def signature_length(self) -> int:
        return self.bands * self.rows if self.permutations is None else self.permutations

    @property
    def similarity(self) -> float:
        implied: float = (1 / self.bands) ** (1 / self.rows)
        return implied if self.threshold is None else self.threshold


# 14x8 is FineWeb's. For 128 values and a threshold of 0.8, 9 bands of 13 rows make the sum of the
# probabilities of false positives and false negatives least (what datasketch's MinHashLSH takes).
PRESETS = {
    "14x8": Lsh(bands=14, rows=8),
    "128": Lsh(bands=9, rows=13, permutations=128, threshold=0.8),
}


class Semantic(Model):
    """SemDeDup: documents near in meaning, told by the cosine of their embeddings in a cluster."""

    path: str  # a sentence encoder's folder
    clusters: Count
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Annotated[int, Field(ge=8)] = 256
    seed: int = 0


class Deduplicate(Model):
    """Of duplicates the document of the earlier source in ``preference`` is kept."""

    shingle_words: Count = 5
    lsh: Literal["14x8", "128"] | Lsh = "14x8"
    seed: int = 1
    semantic: Semantic | None = None
    lines: Literal["none", "paragraph", "line"] = "none"
    min_line_characters: Count = 50
    preference: list[Name]

    @property
    def banding(self) -> Lsh:
        """The bands that ``lsh`` names or gives."""
        return self.lsh if isinstance(self.lsh, Lsh) else PRESETS[self.lsh]
