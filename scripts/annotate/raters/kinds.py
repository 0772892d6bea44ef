"""Which module knows a kind of rater: programs import just the one they need, by its name."""


def module_of(kind: str) -> str:
    return f"scripts.annotate.raters.{kind}"
