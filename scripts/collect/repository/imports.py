"""Which files of a repository a file imports, and the order in which imports come first.

Imports are found by patterns, not parsers: files of other versions of a language, and broken ones,
have theirs, too. What cannot be resolved to a file of the repository is somebody else's.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import networkx

_Files = Collection[str]  # paths from the root, with slashes
_MAX_CHARACTERS = 1_000_000  # what is longer is data

_PYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>\.*[\w.]*)[ \t]+import[ \t]*"
    r"(?:\((?P<listed>[^)]*)\)|(?P<names>[^\n#;]*))"
    r"|import[ \t]+(?P<modules>[\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w. ]+)*))",
    re.MULTILINE,
)
_PYTHON_COMMENT = re.compile(r"#[^\n]*")
_SCRIPT_IMPORT = re.compile(
    r"""(?:\bfrom|\bimport|\brequire[ \t]*\(|\bimport[ \t]*\()\s*(["'])(?P<path>\.[^"'\n]*)\1"""
)
_SCRIPT_ENDINGS = (
    "", ".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte",
    "/index.ts", "/index.tsx", "/index.js", "/index.jsx",
)  # fmt: skip
_SCRIPT_OUTPUT = re.compile(r"\.[mc]?jsx?$")  # TypeScript names the file that it will become
_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*(?:include|import)[ \t]*["<]([^">\n]+)[">]""", re.MULTILINE)
_INCLUDE_FOLDERS = ("", "include", "src", "inc")
_PYTHON_FOLDERS = ("", "src", "lib", "python")


def dependency_order(imported: Mapping[str, Collection[str]]) -> list[str]:
    """Return the paths of files so that what a file imports comes before it.

    ``imported`` has the files that each file imports. What is imported comes right before its first
    importer, and files by path otherwise. A cycle is entered at its file that is reached first.
    """
    graph = networkx.DiGraph()
    graph.add_nodes_from(sorted(imported))
    graph.add_edges_from(
        (path, other) for path, others in imported.items() for other in others if other in imported
    )
    return list(networkx.dfs_postorder_nodes(graph, sort_neighbors=sorted))


def imports(path: str, language: str, text: str, files: _Files) -> set[str]:
    """Return the other ones of ``files`` that a file imports."""
    find = _FINDERS.get(language)
    if find is None:
        return set()
    return {found for found in find(path, text[:_MAX_CHARACTERS], files) if found != path}


def _python(path: str, text: str, files: _Files) -> Iterator[str]:
    for match in _PYTHON_IMPORT.finditer(text):
        if modules := match["modules"]:
            for name in _names(modules):
                yield from _python_module(path, name, files)
            continue
        base = match["base"]
        prefix = base if base.endswith(".") else f"{base}."
        names = _names(match["listed"] or match["names"] or "") or [""]
        for name in names:  # each a module, or something in the module ``base``
            yield from _python_module(path, f"{prefix}{name}", files)


def _names(listed: str) -> list[str]:
    parts = _PYTHON_COMMENT.sub("", listed).replace("\\", " ").split(",")
    return [part.split()[0] for part in parts if part.split()]


def _python_module(path: str, name: str, files: _Files) -> Iterator[str]:
    """Yield the file of a module, or of the longest part of its name that is one."""
    stem = name.lstrip(".")
    dots = len(name) - len(stem)
    parts = [part for part in stem.split(".") if part]
    roots = [_ancestor(path, dots)] if dots else _python_roots(path, files)
    for length in range(len(parts), -1 if dots else 0, -1):
        for root in roots:
            base = posixpath.join(root, *parts[:length])
            modules = [f"{base}{suffix}" for suffix in (".py", ".pyi", ".pyx")] if length else []
            package = posixpath.join(base, "__init__.py")
            if found := [candidate for candidate in (*modules, package) if candidate in files]:
                yield found[0]
                return


def _ancestor(path: str, levels: int) -> str:
    for _ in range(levels):
        path = posixpath.dirname(path)
    return path


def _python_roots(path: str, files: _Files) -> list[str]:
    """Return the folders in which an absolute import may begin: near ones that are no packages."""
    folders = [str(parent) for parent in PurePosixPath(path).parents]
    near = ["" if folder == "." else folder for folder in folders]
    roots = [folder for folder in near if posixpath.join(folder, "__init__.py") not in files]
    return [*roots, *_PYTHON_FOLDERS]


def _script(path: str, text: str, files: _Files) -> Iterator[str]:
    for match in _SCRIPT_IMPORT.finditer(text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
        source = _SCRIPT_OUTPUT.sub("", target)
        candidates = (f"{base}{ending}" for base in (target, source) for ending in _SCRIPT_ENDINGS)
        yield from _first(candidates, files)


def _included(path: str, text: str, files: _Files) -> Iterator[str]:
    folders = ["" if str(one) == "." else str(one) for one in PurePosixPath(path).parents]
    for match in _INCLUDE.finditer(text):
        candidates = (
            posixpath.normpath(posixpath.join(folder, below, match[1]))
            for folder in folders
            for below in _INCLUDE_FOLDERS
        )
        yield from _first(candidates, files)


def _first(candidates: Iterable[str], files: _Files) -> Iterator[str]:
    for candidate in candidates:
        if candidate in files:
            yield candidate
            return


_FINDERS: dict[str, Callable[[str, str, _Files], Iterator[str]]] = {
    "python": _python,
    "javascript": _script,
    "typescript": _script,
    "vue": _script,
    "c": _included,
    "cpp": _included,
    "objective-c": _included,
}
