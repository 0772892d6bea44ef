"""The names of the attributes that stages compute and that ``select`` may bound."""

LANGUAGE = "language"  # a string, chosen by `languages` rather than by a bound
LANGUAGE_SCORE = "language_score"
CONTAMINATED = "contaminated"

HEURISTICS = "heuristics"  # the artifact that holds all measures
CONTAMINATION = "contamination"  # the artifact that holds CONTAMINATED

TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)

MEASURES = (
    "gopher_words",
    "gopher_mean_word_length",
    "gopher_symbol_ratio",
    "gopher_bullet_lines",
    "gopher_ellipsis_lines",
    "gopher_alphabetic_words",
    "gopher_stop_words",
    "gopher_duplicate_lines",
    "gopher_duplicate_paragraphs",
    "gopher_duplicate_line_characters",
    "gopher_duplicate_paragraph_characters",
    *(f"gopher_top_{n}gram" for n in TOP_NGRAMS),
    *(f"gopher_duplicate_{n}gram" for n in DUPLICATE_NGRAMS),
    "c4_lorem_ipsum",
    "c4_curly_bracket",
    "c4_javascript",
    "c4_policy",
    "c4_sentences",
    "fineweb_terminal_punctuation_lines",
    "fineweb_short_lines",
    "fineweb_duplicate_line_characters",
    "fineweb_newline_ratio",
)

# What a bound may name, beside the raters of the configuration.
BOUNDABLE = (*MEASURES, LANGUAGE_SCORE)
# What a rater may not be called: its column or its folder would hide another.
RESERVED = frozenset({*BOUNDABLE, LANGUAGE, CONTAMINATED, HEURISTICS, CONTAMINATION})
