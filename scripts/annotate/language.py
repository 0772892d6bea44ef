"""Language identification by py3langid, whose model comes with its package."""

import functools

from py3langid.langid import MODEL_FILE, LanguageIdentifier

UNDETERMINED = "und"  # ISO 639-2's code for it, which py3langid uses too
_EXCERPT_CHARACTERS = 500  # enough to tell 100 languages apart, and its cost is linear
_MIN_CONFIDENCE = 0.1  # digits and blanks score 1 in the number of languages
_SCORE_DIGITS = 4  # so that the last bits of other processors' arithmetic do not show


def identify(text: str) -> tuple[str, float]:
    """Return the ISO 639-1 code of a text's language and its probability, by the text's start.

    The code is ``und`` where nothing speaks for any language.
    """
    code, score = _identifier().classify(text.lstrip()[:_EXCERPT_CHARACTERS])
    return code, round(score, _SCORE_DIGITS)


@functools.cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(
        MODEL_FILE, norm_probs=True, min_confidence=_MIN_CONFIDENCE
    )
