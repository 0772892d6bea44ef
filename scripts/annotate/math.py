"""Tell mathematics: by LaTeX commands, symbols, numerals and terms, and by a score of them all.

After OpenWebMath (Paster et al., 2023), which keeps pages by such signs before any classifier.
"""

import functools
import re
import sys
import unicodedata

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.annotate import runner
from scripts.annotate.parts import fractions
from scripts.annotate.runner import Columns
from scripts.common.texts import Texts
from scripts.common.words import Words, split_words
from scripts.common.xxh64 import xxh64_slices

_COMMANDS = (
    "alpha|approx|array|aligned?|begin|beta|bigcap|bigcup|big[lr]?|binom|bmatrix|boldsymbol|cap|cdot"
    "|cdots|cfrac|chi|circ|cong|cos|cup|ddot|ddots|delta|Delta|det|dfrac|displaystyle|div|dot|dots"
    "|ell|epsilon|equiv|eta|exists|exp|forall|frac|gamma|Gamma|ge|geq|geqslant|gg|hat|hbar|iff|iint"
    "|in|inf|infty|int|iota|kappa|lambda|Lambda|langle|lceil|ldots|left|leftarrow|le|leq|leqslant"
    "|lfloor|lim|limits|ll|ln|log|longrightarrow|mapsto|mathbb|mathbf|mathcal|mathfrak|mathit"
    "|mathrm|mathsf|mid|mp|mu|nabla|ne|neg|neq|nu|omega|Omega|operatorname|oplus|otimes|overline"
    "|parallel|partial|perp|phi|Phi|pi|Pi|pm|prime|prod|propto|psi|Psi|qquad|quad|rangle|rceil|rfloor"
    "|rho|right|rightarrow|Rightarrow|setminus|sigma|Sigma|sim|simeq|sin|sqrt|subset|subseteq|sum"
    "|sup|supset|tan|tau|text|textbf|tfrac|theta|Theta|tilde|times|triangle|underbrace|underline"
    "|upsilon|varepsilon|varphi|vdots|vec|vee|wedge|widehat|widetilde|xi|zeta"
)
_COMMAND = re.compile(rf"\\(?<!\\\\)(?:{_COMMANDS})(?![A-Za-z])".encode())
# Terms that mean nothing else, or seldom: no `real`, `series` or `integer`.
_TERMS = """
    algebra algebraic arctan asymptotic axiom bijection calculus coefficient coefficients congruent
    conjecture convergence convex corollary cosine covariance denominator derivative derivatives
    determinant differentiable divisible divisor eigenvalue eigenvalues eigenvector equation
    equations equilateral euclidean exponent exponential factorial factorization fraction fractions
    geometry hyperbolic hypotenuse inequality infinity integral integrals invertible isomorphic
    isomorphism lemma logarithm manifold matrices matrix modulo monotone multiply numerator
    orthogonal parabola permutation perpendicular polygon polynomial polynomials probability proof
    proportional quadratic quotient rational remainder scalar sine symmetric tangent tensor theorem
    theorems topology trigonometric vectors vertex vertices
"""
# The density of a sign at which it alone makes a text mathematics as likely as not.
_HALF = {"math_latex": 0.03, "math_symbols": 0.02, "math_numerals": 0.5, "math_keywords": 0.06}


def measure(texts: Texts) -> Columns:
    """Return the measures of mathematics, fractions all.

    ``math_latex`` (commands of LaTeX's mathematics) and ``math_keywords`` are per word,
    ``math_symbols`` (beyond ASCII) and ``math_numerals`` (digits and ``+*/=<>^``) per character
    that is not white space. ``math_score`` is 1 less the product of ``half / (half + measure)``:
    any one sign can raise it, and several raise it more.
    """
    words = split_words(texts)
    symbols, numerals, visible = _count(texts.data, texts.offsets, _kinds())
    measures = {
        "math_latex": fractions(_commands(texts), words.counts),
        "math_symbols": fractions(symbols, visible),
        "math_numerals": fractions(numerals, visible),
        "math_keywords": fractions(_terms(words), words.counts),
    }
    against = [half / (half + measures[name]) for name, half in _HALF.items()]
    return {**measures, "math_score": 1 - np.prod(against, axis=0)}


def _commands(texts: Texts) -> NDArray[np.int64]:
    data = texts.data[texts.offsets[0] : texts.offsets[-1]].tobytes()
    places = [match.start() for match in _COMMAND.finditer(data)]
    owners = np.searchsorted(texts.offsets[1:] - texts.offsets[0], places, side="right")
    return np.bincount(owners, minlength=len(texts))


def _terms(words: Words) -> NDArray[np.int64]:
    hashes = xxh64_slices(words.text, words.starts[:-1], words.starts[1:] - 1)
    found = np.zeros(len(hashes) + 1, np.int64)
    np.cumsum(np.isin(hashes, _term_hashes()), out=found[1:])
    return np.diff(found[words.first])


@functools.cache
def _term_hashes() -> NDArray[np.uint64]:
    terms = Texts.of_strings(_TERMS.split())
    return xxh64_slices(terms.data.copy(), terms.offsets[:-1], terms.offsets[1:])


_OTHER, _SPACE, _SYMBOL, _NUMERAL = range(4)
_KINDS_END = 0x20000  # neither white space nor symbols of mathematics are beyond


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    """Return what each code point is: symbols are Sm, double-struck and mathematical letters."""
    table = np.full(sys.maxunicode + 1, _OTHER, np.uint8)
    for code in range(_KINDS_END):
        character = chr(code)
        if character in "0123456789+*/=<>^":
            table[code] = _NUMERAL
        elif character.isspace():
            table[code] = _SPACE
        elif code >= 0x80 and (
            unicodedata.category(character) == "Sm" or character in "ℂℍℕℙℚℝℤℵℏℓ²³"
        ):
            table[code] = _SYMBOL
    table[0x1D400:0x1D800] = _SYMBOL
    return table


@njit(
    "UniTuple(int64[::1], 3)(Array(uint8, 1, 'C', readonly=True),"
    " Array(int64, 1, 'C', readonly=True), uint8[::1])",
    cache=True,
    nogil=True,
)
def _count(data, offsets, kinds):  # type: ignore[no-untyped-def]
    """Count symbols, numerals and all characters but white space of each text."""
    result = np.zeros((3, len(offsets) - 1), np.int64)
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            lead = np.int64(data[at])
            if lead < 0x80:
                code, length = lead, 1
            elif lead < 0xE0:
                code, length = lead & 0x1F, 2
            elif lead < 0xF0:
                code, length = lead & 0x0F, 3
            else:
                code, length = lead & 0x07, 4
            for more in range(at + 1, at + length):
                code = code << 6 | np.int64(data[more]) & 0x3F
            kind = kinds[code]
            result[0, text] += kind == _SYMBOL
            result[1, text] += kind == _NUMERAL
            result[2, text] += kind != _SPACE
            at += length
    return result[0], result[1], result[2]


if __name__ == "__main__":
    runner.main("math", measure, __doc__)
