"""How evaluation items are looked for."""

from typing import Annotated

from pydantic import Field

from scripts.common.config.base import Model


class Decontaminate(Model):
    """GPT-3's rule: a document that shares an n-gram of words with an evaluation item is a hit."""

    ngram_words: Annotated[int, Field(ge=5)] = 13
