"""Personal data: precision and recall on labelled text, and spans for any text."""

import random
import re
import string
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.annotate import pii
from scripts.common.edits import MASKS
from scripts.common.texts import Texts

_RANDOM = random.Random(7)


def token(prefix: str, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Return a made-up token; none is written out here, lest scanners of repositories complain."""
    return prefix + "".join(_RANDOM.choices(alphabet, k=length))


def private_key() -> str:
    body = "\n".join(token("", 64, string.ascii_letters + string.digits + "+/") for _ in range(6))
    kind = "RSA PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


JWT = ".".join([token("eyJ", 33), token("eyJ", 60), token("", 43)])

# What is to be found stands between ⟦kind| and ⟧.
LABELLED = [
    # mail
    "Write to ⟦mail|jane.doe@uni-heidelberg.de⟧, or ⟦mail|j.doe+lists@mail.corp.co.uk⟧.",
    "Tsuyoshi <⟦mail|tsuyoshi_h@gmail.com⟧>;(⟦mail|O'x@kde.org⟧)".replace("O'x", "ox"),
    "mailto:⟦mail|info@rathaus.berlin⟧?subject=Hi and 请联系⟦mail|li.wei@tsinghua.edu.cn⟧。",
    "Émile — ⟦mail|emile@cnrs.fr⟧\n⟦mail|0042@qq.com⟧\nE-Mail:⟦mail|A.B@ETH.CH⟧",
    "Contact ⟦mail|pearu@cens.ioc.ee⟧...and that's all. x=⟦mail|me@posteo.net⟧",
    "user@example.com, jane@example.org, a@b.example.net and joe@mail.example are examples",
    "jane@yourdomain.com admin@localhost root@my-company.com",
    "foo@bar.com a@b.com noreply@github.com",
    "git clone git@github.com:owner/project.git && scp me@cluster.uni.edu:/data/x .",
    "@pytest.mark.slow\n@app.route('/x')\ny = x@self.weight + a @ b.T; q@k.transpose(0, 1)",
    "lodash@4.17.21 react@latest vue@^3.2 and pkg@next.js, $PATH@host.is.not.one.ever",
    "follow @jane on Mastodon: @jane@mastodon.social; price@market; 5@3.50",
    # ip
    "sshd: from ⟦ip|93.184.216.34⟧ port 22; ⟦ip|2606:2800:220:1:248:1893:25c8:1946⟧ too",
    "Server address: ⟦ip|5.9.17.2⟧, gateway ⟦ip|185.199.108.153⟧/24",
    "[⟦ip|2a00:1450:4001:81b::200e⟧]:443",
    "⟦ip|203.0.112.9⟧ - - [10/Oct/2000] \"GET / HTTP/1.0\" 200 2326",
    "127.0.0.1, 10.1.2.3, 192.168.178.20, 172.16.9.9, 169.254.1.1, 0.0.0.0, 255.255.255.0",
    "198.51.100.7 and 192.0.2.1 and 203.0.113.5 are for documentation; 224.0.0.251 is multicast",
    "Chrome/91.0.44.72 version 23.45.67.89 v51.20.33.44 pip install x==44.1.22.90 (>=33.22.11.99)",
    "numpy-41.22.33.44.tar.gz, section 3.2.1.4, 1.2.3.4, OID 1.3.6.1.4.1.311, release 61.0.22.3",
    "256.100.50.25 12.34.56 1.2.3.4.5 99.88.77.66.55 08.09.10.011 dns 8.8.8.8 or 1.1.1.1",
    "std::vector at 12:30:45, 00:1a:2b:3c:4d:5e, fe80::1, ::1, 2001:db8::1, face::feed, 2021:01:02",
    # phone
    "Call ⟦phone|+49 6221 54-12345⟧ or ⟦phone|+1 (212) 736-5000⟧; fax: ⟦phone|+44 20 7946 0857⟧.",
    "Phone: ⟦phone|(212) 736-5000⟧, mobile ⟦phone|0172 48 39 201⟧, Tel.: ⟦phone|030/4839-2014⟧",
    "reach me at ⟦phone|212-736-5104⟧ today. ⟦phone|(415) 867-5309⟧!",
    "Téléphone : ⟦phone|01 42 68 53 00⟧",
    "WhatsApp ⟦phone|+5511987634521⟧ 电话\uff1a⟦phone|010-62785001⟧",
    "phone number is ⟦phone|07911 824563⟧",
    'tel:⟦phone|+33142685300⟧ "phone": "⟦phone|2127365000⟧"',
    "2024-01-15, 15.01.2024, 1999-2004, 10:30-12:45, pages 123-4567, ISBN 978-3-16-148410-0",
    "1234567890 12345678901234 0.123456789 3.14159265 1e-10, id=8374659201, $1,234,567.89",
    "(555) 123-4567, 555-0123, call 212-555-0199, phone 123-456-7890, +1 555 010 9999, tel 0000000",
    "x + 30247990055/9 and a+12345678901 - 2; array [1 2 3 4 5 6 7 8 9]; matrix 1024 768 4096",
    "phone support until 2024-01-15; order 4839-201-55; part 23-4567-8901; UTC+01:00 +100000",
    "10.1109/5.771073 arXiv:2101.00027 2023-10-04T12:30:45+02:00 build 20240115.1 3-216-14841-0",
    # key
    f"aws_access_key_id = ⟦key|{token('AKIA', 16, string.ascii_uppercase + string.digits)}⟧",
    f"aws_secret_access_key = '⟦key|{token('', 40)}⟧'",
    f"export GH=⟦key|{token('ghp_', 36)}⟧; ⟦key|{token('github_pat_', 60)}⟧",
    f"slack ⟦key|{token('xoxb-', 12, string.digits)}-{token('', 24)}⟧, ⟦key|{token('glpat-', 20)}⟧",
    f'"key": "⟦key|{token("AIza", 35)}⟧", hf: ⟦key|{token("hf_", 34, string.ascii_letters)}⟧',
    f"Authorization: Bearer ⟦key|{JWT}⟧\n\n⟦key|{private_key()}⟧\nEnd.",
    f"⟦key|{token('sk_live_', 30)}⟧ OPENAI=⟦key|{token('sk-proj-Ab9', 60)}⟧",
    "postgres://app:⟦key|h7Kq2zXw⟧@db.internal.corp.net:5432/x",
    "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ghp_YOURTOKEN task-force risk-averse-and-slow-moving",
    "sk-XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX disk-usage-analyser-for-the-command-line-tools",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----, -----BEGIN PUBLIC KEY-----",
    "https://user:password@example.com http://u:pass@h.com/ https://x.org:8080/@y.z",
    "eyJhbGci.eyJzdWI.x",
    "d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709 sk-learn",
    # card, iban
    "card ⟦card|4539578763621486⟧, ⟦card|5425 2334 3010 9903⟧ and ⟦card|3714-496353-98449⟧",
    "IBAN: ⟦iban|DE89 3704 0044 0532 0130 00⟧, ⟦iban|GB82WEST12345698765432⟧.",
    "4111 1111 1111 1111, 4242 4242 4242 4242, 4539 5787 6362 1487, 4539578763621486 rows",
    "DE89 3704 0044 0532 0130 01, XX12 3456 7890 1234, AB12 CDEF 3456 GHIJ, UTF8 1234 5678 9012",
]  # fmt: skip
MARK = re.compile(r"⟦(\w+)\|(.*?)⟧", re.DOTALL)


def unmarked(labelled: str) -> tuple[str, set[tuple[int, int, str]]]:
    text, spans, at = "", set(), 0
    for match in MARK.finditer(labelled):
        text += labelled[at : match.start()]
        spans.add((len(text), len(text) + len(match[2]), match[1]))
        text, at = text + match[2], match.end()
    return text + labelled[at:], spans


def found_and_wanted(kind: str) -> tuple[set[str], set[str]]:
    found, wanted = set(), set()
    for labelled in LABELLED:
        text, spans = unmarked(labelled)
        for target, those in ((found, pii.find(text)), (wanted, spans)):
            target |= {f"{text[start:end]} in {text}" for start, end, one in those if one == kind}
    return found, wanted


@pytest.mark.parametrize("kind", MASKS)
def test_precision_and_recall(kind: str) -> None:
    found, wanted = found_and_wanted(kind)
    assert len(wanted) >= 2
    right = len(found & wanted)
    assert right / len(found) == 1, sorted(found - wanted)
    assert right / len(wanted) == 1, sorted(wanted - found)


def test_columns_are_the_spans_of_each_text_alone() -> None:
    """Neither the cheap look at a batch nor what is beside a text changes what is found in it."""
    texts = [unmarked(one)[0] for one in LABELLED]
    columns = pii.measure(Texts.of_strings(texts))
    spans = columns["pii_spans"].to_pylist()
    for place, text in enumerate(texts):
        got = [(span["start"], span["end"], span["kind"]) for span in spans[place]]
        assert got == pii.find(text)
        for kind in MASKS:
            count = np.asarray(columns[f"pii_{kind}"])[place]
            assert count == sum(one == kind for _, _, one in got)


PIECES = (
    *(
        "jane@kde.org",
        "212-736-5000",
        "+49 6221 5412345",
        "93.184.216.34",
        "phone: ",
        "@",
        "é",
        "数",
    ),
    *(JWT, "DE89370400440532013000", "4539 5787 6362 1486", "://a:h7Kq2zXw@b.", "(", ")", "+", "-"),
    *(
        "2606:2800:220:1:248:1893:25c8:1946",
        "-----BEGIN PRIVATE KEY-----",
        "1",
        "23",
        ".",
        ":",
        " ",
    ),
)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_spans_ascend_apart_and_no_candidate_is_missed(text: str) -> None:
    spans = pii.find(text)
    ends = [0, *(end for _, end, _ in spans)]
    assert all(before <= start < end for before, (start, end, _) in zip(ends, spans, strict=False))
    measured = pii.measure(Texts.of_strings([text]))["pii_spans"].to_pylist()[0]
    assert [(one["start"], one["end"], one["kind"]) for one in measured] == spans


@pytest.mark.parametrize(
    "piece",
    ["a@", "a@b.", "a@kde.org ", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJaaaaaaaaa.", "1 ", "(1",
     "1.", "+1", "://a:", "sk-", "A1 ", "2001:", "xoxb-", "(212) ", "phone: 1", "DE89 3704 "],
)  # fmt: skip
def test_hostile_repetition_takes_no_long_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    start = time.process_time()
    pii.find(text)
    assert time.process_time() - start < 5
