"""Which local modules a program is made of, read from its imports without importing it.

Rules hand Snakemake the hash of these files, and manifests carry it: an edited helper reruns just
the programs that import it, directly or through others.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from scripts.common.canonical import dumps, sha256_file, sha256_text

ROOT = Path(__file__).resolve().parents[2]

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements hold others


def module_files(*modules: str) -> list[str]:
    """Return the repository's files that ``modules`` need, themselves included, sorted.

    Paths are relative to the repository's root. Raises ModuleNotFoundError if a module is not one
    of the repository's.
    """
    for module in modules:
        if _file_of(module) is None:
            raise ModuleNotFoundError(f"{module} is not a module under {ROOT}")
    pending, seen = list(modules), set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(_local_imports(name))
    files = {file for name in seen if (file := _file_of(name)) is not None}
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


@functools.cache
def code_hash(*modules: str) -> str:
    """Return the sha256 over the paths and bytes of everything that ``modules`` are made of.

    As a process runs the code that it began with, so it goes by the files that it first saw.
    """
    return sha256_text(dumps({file: _file_hash(file) for file in module_files(*modules)}))


@functools.cache
def _file_hash(file: str) -> str:
    return sha256_file(ROOT / file)


@functools.cache
def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _local_imports(module: str) -> frozenset[str]:
    file = _file_of(module)
    if file is None:  # a namespace package: nothing of its own to read
        return frozenset()
    is_package = file.name == "__init__.py"
    found: set[str] = set()
    for node in _statements(ast.parse(file.read_bytes(), filename=str(file))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            origin = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*origin, *([node.module] if node.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(
        parent
        for name in found
        if name.split(".")[0] == "scripts"
        for parent in _with_packages(name)
        if _file_of(parent) is not None
    )


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield all statements, also those within others; expressions, of which most is made, are not.

    Every start of Snakemake, and so every job on a cluster, reads the imports of all programs.
    """
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for block in _BLOCKS:
            pending.extend(getattr(node, block, ()))


def _with_packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
