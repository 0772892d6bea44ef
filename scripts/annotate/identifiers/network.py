"""Addresses of hosts on the public Internet: not private ones, nor versions that look like one."""

import ipaddress
import re
from collections.abc import Iterator

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"\b(?<![\w.:+~-])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w~+-]|\.\w)", re.ASCII)
_IPV6 = re.compile(r"\b(?<![\w.:])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}(?![\w.])", re.ASCII)
_CONTEXT = 24
# What makes four numbers a version or the number of a section.
_VERSION = re.compile(
    r"(?:\b(?:v|ver|versions?|releases?|rev|revision|build|firmware|driver|section|sec|chapter"
    r"|table|figure|fig|clause|oid|sdk|kernel|since|chrome|edge|safari|opera|update|upgrade"
    r"|patch|api|tag)[\s.:=_-]*(?:is |to |from |of |number |no\.? )?|[=~<>!^]=?\s?"
    r"|§\s?|[A-Za-z]/)[\"'(v]?$",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"\b(?:ip|ipv[46]|addr(?:ess)?|host|server|dns|remote|client|peer|gateway)\w*\W{1,4}$",
    re.IGNORECASE,
)
_NOBODY = frozenset(  # public resolvers, and what stands for any address
    {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "4.2.2.2", "1.2.3.4", "4.3.2.1"}
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where public IP addresses start and end."""
    for match in _IPV4.finditer(text):
        if _is_host(match[0], text[max(0, match.start() - _CONTEXT) : match.start()]):
            yield match.span()
    for match in _IPV6.finditer(text):
        candidate = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        try:
            address = ipaddress.IPv6Address(candidate)
        except ValueError:
            continue
        if address.is_global and address in _GLOBAL_UNICAST:
            yield match.start(), match.start() + len(candidate)


def _is_host(candidate: str, before: str) -> bool:
    address = ipaddress.IPv4Address(candidate)
    if not address.is_global or address.is_multicast or candidate in _NOBODY:
        return False
    if _ASSIGNED.search(before):
        return True
    if _VERSION.search(before):
        return False
    # Numbers this small are versions and sections more often than hosts.
    return not all(int(octet) < 20 for octet in candidate.split("."))
