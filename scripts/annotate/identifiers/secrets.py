"""API keys, tokens and private keys, by the forms that their issuers gave them."""

import re
from collections.abc import Iterator

_MIN_DISTINCT = 9  # characters: fewer are a placeholder
_PLACEHOLDER = re.compile(r"example|placeholder|your|redacted|dummy|(.)\1{5}|\*{3}|\.{3}", re.I)
_NO_PASSWORD = re.compile(r"(?i)pass|pwd|secret|token|^\W|user|changeme|admin|letmein|xxx")
_PASSWORD = "://"
_BASE64 = "[A-Za-z0-9/+]"


def _prefixed(prefix: str, rest: str) -> re.Pattern[str]:
    """Return the form of a token that begins, as a word, with ``prefix``.

    The prefix comes first in the pattern, for then it is found at the speed of plain search.
    """
    literal = re.escape(prefix)
    return re.compile(rf"{literal}(?<!\w{literal}){rest}", re.ASCII)


# By a literal that every occurrence contains: texts without it are not searched. What is not all of
# the match is the group `secret`.
_FORMS = {
    "AKIA": _prefixed("AKIA", r"[0-9A-Z]{16}\b"),
    "ASIA": _prefixed("ASIA", r"[0-9A-Z]{16}\b"),
    "ghp_": _prefixed("ghp_", r"[A-Za-z0-9]{36,255}\b"),
    "gho_": _prefixed("gho_", r"[A-Za-z0-9]{36,255}\b"),
    "ghu_": _prefixed("ghu_", r"[A-Za-z0-9]{36,255}\b"),
    "ghs_": _prefixed("ghs_", r"[A-Za-z0-9]{36,255}\b"),
    "ghr_": _prefixed("ghr_", r"[A-Za-z0-9]{36,255}\b"),
    "github_pat_": _prefixed("github_pat_", r"[A-Za-z0-9_]{22,255}\b"),
    "glpat-": _prefixed("glpat-", r"[\w-]{20,64}"),
    "xox": _prefixed("xox", r"[abeprs]-[0-9A-Za-z-]{10,250}"),
    "hooks.slack.com/services/": re.compile(
        r"hooks\.slack\.com/services/(?P<secret>T\w{8,12}/B\w{8,12}/\w{20,32})", re.ASCII
    ),
    "AIza": _prefixed("AIza", r"[\w-]{35}(?![\w-])"),
    "ya29.": _prefixed("ya29.", r"[\w-]{30,500}"),
    "sk_live_": _prefixed("sk_live_", r"[0-9A-Za-z]{24,255}\b"),
    "rk_live_": _prefixed("rk_live_", r"[0-9A-Za-z]{24,255}\b"),
    "sk-": _prefixed("sk-", r"(?=[A-Za-z-]{0,40}[0-9])(?=[0-9a-z-]{0,40}[A-Z])[\w-]{32,200}"),
    "hf_": _prefixed("hf_", r"[A-Za-z]{34}\b"),
    "npm_": _prefixed("npm_", r"[A-Za-z0-9]{36}\b"),
    "pypi-AgE": _prefixed("pypi-AgE", r"[\w-]{50,500}"),
    "SG.": _prefixed("SG.", r"[\w-]{22}\.[\w-]{43}\b"),
    "eyJ": _prefixed("eyJ", r"[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{16,2000}"),
    "ecret": re.compile(
        r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
        rf"(?P<secret>{_BASE64}{{40}})(?!{_BASE64}|=)",
        re.ASCII,
    ),
    "PRIVATE KEY": re.compile(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]|-(?!----)){40,16000}+-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    ),
    _PASSWORD: re.compile(
        r"://[^\s/:@\"'<>]{1,64}:(?P<secret>[^\s/:@\"'<>{}$\[\]]{6,100})@[\w-]{1,64}\."
    ),
}
LITERALS = tuple(_FORMS)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where secrets start and end: of what stands around one, nothing."""
    for literal, form in _FORMS.items():
        if literal not in text:
            continue
        group = "secret" if form.groupindex else 0
        for match in form.finditer(text):
            if _is_real(match[group], literal):
                yield match.span(group)


def _is_real(secret: str, literal: str) -> bool:
    if literal == _PASSWORD:  # chosen by people, and short
        return not _NO_PASSWORD.search(secret) and len(set(secret)) > 4
    return len(set(secret)) >= _MIN_DISTINCT and not _PLACEHOLDER.search(secret[:300])
