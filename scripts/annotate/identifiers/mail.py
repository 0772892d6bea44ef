"""Mail addresses of people: not those of examples, of version control or of nobody."""

import re
import string
from collections.abc import Iterator

_LOCAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,63})?\Z")
_LOCAL_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._%+-")
_MAX_LOCAL = 64
_DOMAIN = re.compile(
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8})([A-Za-z]{2,12})(?![A-Za-z0-9_@-])"
)
# In code, much has the form of an address (`x@self.weight`): top-level domains are those that are.
_GENERIC = """
    academy agency ai app art asia bank berlin biz blog cat center click cloud club co com company
    consulting coop design dev digital edu email eu foundation fun fyi global gmbh gov group guru
    health host info ink int io jobs law life link live london love ltd market me media mil mobi
    money museum name net network news ngo nyc one online org page paris partners party photo
    photos press pro pub red rocks run school science services shop site social software solutions
    space store studio support team tech technology tel tips today tokyo tools top travel tv
    university vip wang website wien wiki win work works world wtf xxx xyz zone
"""
_COUNTRIES = """
    ac ad ae af ag al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw
    by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es
    et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu
    id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls
    lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni
    nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se
    sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz
    ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
"""
_TOP_LEVEL = frozenset(_GENERIC.split() + _COUNTRIES.split())
# RFC 2606 keeps `example` for examples; the others serve as such.
_PLACEHOLDER_LABEL = re.compile(
    r"example\d*|sample|test|localhost|foo|bar|baz|foobar|domain|(?:my|your|some)-?(?:domain|company"
    r"|site|host|server|email|mail|org)|company|host|hostname|server|email-?domain|acme"
)
_NOBODY = frozenset({"git", "hg", "svn", "noreply", "no-reply", "donotreply", "do-not-reply"})
_HOST_THEN_PATH = re.compile(r":[\w~/]")  # git@host:path, user@host:/path


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where mail addresses of real domains start and end."""
    at = text.find("@")
    while at >= 0:
        if (span := _address(text, at)) is not None:
            yield span
        at = text.find("@", at + 1)


def _address(text: str, at: int) -> tuple[int, int] | None:
    domain = _DOMAIN.match(text, at + 1)
    if domain is None or domain[2].lower() not in _TOP_LEVEL:
        return None
    start = at
    while start > 0 and at - start <= _MAX_LOCAL and text[start - 1] in _LOCAL_CHARACTERS:
        start -= 1
    while start < at and text[start] in "._%+-":
        start += 1
    local = text[start:at]
    if not _LOCAL.match(local) or len(local) > _MAX_LOCAL or local[-1] == "." or ".." in local:
        return None
    before = text[start - 1 : start]
    if before == "@" or (before in ("/", ":") and _is_in_url(text, start)):  # @user@instance
        return None
    if local.lower() in _NOBODY or _HOST_THEN_PATH.match(text, domain.end()):
        return None
    labels = domain[1].lower().rstrip(".").split(".")
    if any(_PLACEHOLDER_LABEL.fullmatch(label) for label in labels):
        return None
    if len(local) == len(labels[-1]) == 1:  # a@b.com
        return None
    return start, domain.end()


def _is_in_url(text: str, start: int) -> bool:
    """Tell whether what ends at ``start`` is the beginning of a URL: ``https://user:``."""
    before = text[max(0, start - 100) : start].rpartition("://")
    return bool(before[1]) and not re.search(r"[\s\"'<>]", before[2])
