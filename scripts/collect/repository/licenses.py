"""Under which license code is: from license files and SPDX headers, as SPDX expressions.

A license file is known by phrases that all copies of the license have, and no other license has
together. What has none of these is unknown (None): a wrong license is worse than none.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_FILE_NAME = re.compile(
    r"(un)?licen[cs]e([-_.].+)?|copying([-_.].+)?|[\w.]+[-_.]licen[cs]e(\.(txt|md|rst))?",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"licen[cs]e[-_.](mit|apache)([-_.].*)?", re.IGNORECASE)
_CODE_SUFFIX = re.compile(r"\.(py|js|ts|c|h|cc|cpp|go|rs|java|rb|sh|json|ya?ml)$", re.IGNORECASE)
_HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n]+)")
_HEADER_CHARACTERS = 5000
_COMMENT_END = re.compile(r"\s*(\*/|-->|\*\)|#\}|\"\"\"|\"|')?\s*$")
_NO_WORD = re.compile(r"[^a-z0-9.]+")
_MAX_CHARACTERS = 200_000

# In words of lower case: what must be there, and what must not. The first that fits is it.
_KNOWN: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3 19 november 2007"), ()),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3 29 june 2007",
                       "incorporates the terms and conditions"), ()),
    ("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1 february 1999"), ()),
    ("LGPL-2.0-only", ("gnu library general public license", "version 2 june 1991"), ()),
    ("GPL-3.0-only", ("gnu general public license", "version 3 29 june 2007",
                      "each licensee is addressed as you"), ()),
    ("GPL-2.0-only", ("gnu general public license", "version 2 june 1991",
                      "each licensee is addressed as you"), ("gnu library general public",)),
    ("EPL-2.0", ("eclipse public license v 2.0", "accompanying program"), ()),
    ("EPL-1.0", ("eclipse public license v 1.0", "accompanying program"), ()),
    ("EUPL-1.2", ("european union public licence v. 1.2",), ()),
    ("MPL-2.0", ("mozilla public license version 2.0", "1.1. contributor"), ()),
    ("MPL-1.1", ("mozilla public license version 1.1", "1.0.1. commercial use"), ()),
    ("Apache-2.0", ("apache license version 2.0", "terms and conditions for use reproduction",
                    "grant of patent license"), ()),
    ("Apache-2.0", ("licensed under the apache license version 2.0 the license you may not use "
                    "this file except in compliance with the license",), ()),
    ("Artistic-2.0", ("artistic license 2.0", "standard version"), ()),
    ("CC0-1.0", ("cc0 1.0 universal",), ()),
    ("CC-BY-SA-4.0", ("attribution sharealike 4.0 international",), ("noncommercial",)),
    ("CC-BY-4.0", ("attribution 4.0 international",), ("noncommercial", "sharealike")),
    ("OFL-1.1", ("sil open font license version 1.1",), ()),
    ("BSL-1.0", ("boost software license version 1.0",), ()),
    ("WTFPL", ("do what the fuck you want to public license",), ()),
    ("PSF-2.0", ("this license agreement is between the python software foundation",),
     ("beopen.com license agreement",)),
    ("Python-2.0.1", ("this license agreement is between the python software foundation",
                      "beopen.com license agreement"), ()),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",), ()),
    ("Zlib", ("this software is provided as is without any express or implied warranty",
              "the origin of this software must not be misrepresented"), ()),
    ("0BSD", ("permission to use copy modify and or distribute this software for any purpose with "
              "or without fee is hereby granted", "the software is provided as is"),
     ("provided that the above copyright notice",)),
    ("ISC", ("permission to use copy modify and or distribute this software for any purpose with "
             "or without fee is hereby granted provided that the above copyright notice",), ()),
    ("ISC", ("permission to use copy modify and distribute this software for any purpose with "
             "or without fee is hereby granted provided that the above copyright notice and this "
             "permission notice appear in all copies",), ("supporting documentation",)),
    ("MIT-0", ("permission is hereby granted free of charge to any person obtaining a copy",
               "to deal in the software without restriction", "the software is provided as is"),
     ("the above copyright notice and this permission notice",)),
    ("X11", ("permission is hereby granted free of charge to any person obtaining a copy",
             "the above copyright notice and this permission notice", "x consortium"), ()),
    ("MIT", ("permission is hereby granted free of charge to any person obtaining a copy",
             "to deal in the software without restriction",
             "the above copyright notice and this permission notice"),
     ("except as contained in this notice", "no copyleft", "for commercial")),
    ("BSD-4-Clause", ("redistribution and use in source and binary forms",
                      "all advertising materials mentioning features"), ()),
    ("BSD-3-Clause-Clear", ("redistribution and use in source and binary forms",
                            "no express or implied licenses to any party s patent rights"), ()),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms",
                      "redistributions of source code must retain",
                      "redistributions in binary form must reproduce",
                      "to endorse or promote products derived from"), ()),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",
                      "redistributions of source code must retain",
                      "redistributions in binary form must reproduce"),
     ("endorse or promote",)),
)  # fmt: skip


def is_license_file(path: PurePosixPath) -> bool:
    return bool(_FILE_NAME.fullmatch(path.name)) and not _CODE_SUFFIX.search(path.name)


def license_of_text(text: str) -> str | None:
    """Return the SPDX identifier of a license file's text, None if it is not a known license's.

    A text with several licenses below each other is not known: which holds for what is for people.
    """
    words = _words(text[:_MAX_CHARACTERS])
    if (stated := header_license(text)) is not None:
        return stated
    found = [
        name
        for name, wanted, unwanted in _KNOWN
        if all(phrase in words for phrase in wanted)
        and not any(phrase in words for phrase in unwanted)
    ]
    return found[0] if found and not _several(found) else None


def header_license(text: str) -> str | None:
    """Return the SPDX expression that a file's head states, None if it states none that is valid.

    Several headers hold together (REUSE: each for its part of the file).
    """
    stated: set[str] = set()
    for match in _HEADER.finditer(text[:_HEADER_CHARACTERS]):
        try:
            expression = _COMMENT_END.sub("", match[1])
            stated.add(str(canonicalize_license_expression(expression)))
        except InvalidLicenseExpression:
            return None
    return joint(stated)


def folder_license(texts: Mapping[str, str]) -> str | None:
    """Return the license of a folder by its license files' texts by name.

    Files named after licenses, LICENSE-MIT beside LICENSE-APACHE, are a choice, as is the custom
    with Rust; others hold together. LGPL 3 comes with the text of the GPL, which it adds to.
    """
    found = {name: license_of_text(text) for name, text in sorted(texts.items())}
    licenses = set(found.values())
    if licenses == {"GPL-3.0-only", "LGPL-3.0-only"}:
        return "LGPL-3.0-only"
    if licenses == {"Apache-2.0", "MIT"} and all(map(_CHOICE.fullmatch, found)):
        return "Apache-2.0 OR MIT"
    return joint(licenses)


def joint(licenses: Iterable[str | None]) -> str | None:
    """Return the license of parts that are under several: None where one of them is unknown."""
    parts = set(licenses)
    if not parts or None in parts:
        return None
    names = sorted(str(part) for part in parts)
    if len(names) == 1:
        return names[0]
    return " AND ".join(f"({name})" if " OR " in name else name for name in names)


def _words(text: str) -> str:
    return _NO_WORD.sub(" ", text.lower()).strip()


def _several(found: list[str]) -> bool:
    """Tell whether a text has the marks of licenses that have nothing of each other."""
    families = {name.split("-")[0] for name in found}
    return len(families - {"0BSD"}) > 1 and families != {"MIT", "X11"}
