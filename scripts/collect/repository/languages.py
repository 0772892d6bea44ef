"""Which files are source code, in which language, and how a comment is written there."""

from pathlib import PurePosixPath
from typing import NamedTuple


class Language(NamedTuple):
    name: str
    comment: tuple[str, str]  # what begins and ends a comment line

    def remark(self, text: str) -> str:
        begin, end = self.comment
        return f"{begin} {text} {end}".rstrip()


_HASH, _SLASHES, _DASHES = ("#", ""), ("//", ""), ("--", "")
_SEMICOLONS, _PERCENT, _MARKUP, _STARS = (";;", ""), ("%", ""), ("<!--", "-->"), ("/*", "*/")

# name: (comment, suffixes and whole file names)
_LANGUAGES: dict[str, tuple[tuple[str, str], str]] = {
    "python": (_HASH, ".py .pyi .pyx .pxd"),
    "c": (_SLASHES, ".c .h"),
    "cpp": (_SLASHES, ".cc .cpp .cxx .hh .hpp .hxx .ipp .inl .cu .cuh"),
    "javascript": (_SLASHES, ".js .jsx .mjs .cjs"),
    "typescript": (_SLASHES, ".ts .tsx .mts .cts"),
    "java": (_SLASHES, ".java"),
    "kotlin": (_SLASHES, ".kt .kts"),
    "scala": (_SLASHES, ".scala .sc"),
    "go": (_SLASHES, ".go"),
    "rust": (_SLASHES, ".rs"),
    "csharp": (_SLASHES, ".cs"),
    "fsharp": (_SLASHES, ".fs .fsi .fsx"),
    "swift": (_SLASHES, ".swift"),
    "objective-c": (_SLASHES, ".m .mm"),
    "dart": (_SLASHES, ".dart"),
    "php": (_SLASHES, ".php"),
    "zig": (_SLASHES, ".zig"),
    "verilog": (_SLASHES, ".v .sv .svh"),
    "protobuf": (_SLASHES, ".proto"),
    "ruby": (_HASH, ".rb .rake Rakefile Gemfile"),
    "perl": (_HASH, ".pl .pm"),
    "r": (_HASH, ".r .R"),
    "julia": (_HASH, ".jl"),
    "elixir": (_HASH, ".ex .exs"),
    "nim": (_HASH, ".nim"),
    "shell": (_HASH, ".sh .bash .zsh"),
    "make": (_HASH, ".mk Makefile GNUmakefile"),
    "cmake": (_HASH, ".cmake CMakeLists.txt"),
    "docker": (_HASH, ".dockerfile Dockerfile"),
    "snakemake": (_HASH, ".smk Snakefile"),
    "haskell": (_DASHES, ".hs"),
    "lua": (_DASHES, ".lua"),
    "sql": (_DASHES, ".sql"),
    "ada": (_DASHES, ".adb .ads"),
    "vhdl": (_DASHES, ".vhd .vhdl"),
    "lisp": (_SEMICOLONS, ".lisp .el .scm .rkt"),
    "clojure": (_SEMICOLONS, ".clj .cljs .cljc"),
    "assembly": (_SEMICOLONS, ".asm .s .S"),
    "erlang": (_PERCENT, ".erl .hrl"),
    "tex": (_PERCENT, ".tex .sty .cls"),
    "ocaml": (("(*", "*)"), ".ml .mli"),
    "coq": (("(*", "*)"), ".coq"),
    "lean": (_DASHES, ".lean"),
    "fortran": (("!", ""), ".f90 .f95 .f03 .f08"),
    "css": (_STARS, ".css .scss .less"),
    "html": (_MARKUP, ".html .htm"),
    "vue": (_MARKUP, ".vue .svelte"),
    "markdown": (_MARKUP, ".md"),
    "rst": (("..", ""), ".rst"),
}
KNOWN = tuple(_LANGUAGES)
_BY_NAME = {
    name: Language(language, comment)
    for language, (comment, names) in _LANGUAGES.items()
    for name in names.split()
}


def language_of(path: PurePosixPath) -> Language | None:
    """Return the language of a file by its whole name or its suffix, None if it is no code."""
    return _BY_NAME.get(path.name) or _BY_NAME.get(path.suffix)
