"""What in a repository is no code that its authors wrote: why a file is left out, if it is."""

import re
from pathlib import PurePosixPath

_VENDORED_FOLDERS = {
    "node_modules", "bower_components", "vendor", "vendored", "_vendor", "third_party",
    "third-party", "thirdparty", "3rdparty", "external", "externals", "extern", "site-packages",
    "Pods", "Carthage", "jspm_packages", "venv", ".venv", "dist-packages", "Godeps",
}  # fmt: skip
_BUILT_FOLDERS = {"dist", "__pycache__", ".next", ".nuxt", "_build", ".tox", ".eggs", "htmlcov"}
_LOCK_FILES = {
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock",
    "Pipfile.lock", "uv.lock", "pdm.lock", "Cargo.lock", "composer.lock", "Gemfile.lock", "go.sum",
    "mix.lock", "pubspec.lock", "Podfile.lock", "flake.lock", "packages.lock.json", "bun.lockb",
}  # fmt: skip
_GENERATED_NAME = re.compile(
    r".*(_pb2(_grpc)?\.pyi?|\.pb\.(go|cc|h)|\.g\.(dart|cs)|\.designer\.cs|_generated\.\w+|"
    r"\.generated\.\w+|moc_.*\.cpp|\.min\.\w+|[-.]bundle\.js)",
    re.IGNORECASE,
)
_GENERATED_HEAD = re.compile(
    r"@generated\b|\bdo not edit\b"
    r"|\b(auto-?|automatically |machine[- ])generated (by|from|using|with|file|code)\b"
    r"|\b(file|code|source)( is| was| has been)?( auto| automatically)?[- ]?generated "
    r"(by|from|using|with)\b",
    re.IGNORECASE,
)
_HEAD_CHARACTERS = 1000
_BINARY_BYTES = 8000  # what git itself looks at
_MINIFIED_SUFFIXES = {".js", ".mjs", ".cjs", ".css"}
_MAX_MEAN_LINE = 110  # of handwritten JavaScript and CSS; linguist has the same limit
_MAX_LINE = 10_000


def reason_by_path(path: PurePosixPath) -> str | None:
    """Return why a file is left out by its path, None if the path is no reason."""
    folders = set(path.parts[:-1])
    if folders & _VENDORED_FOLDERS:
        return "vendored"
    if folders & _BUILT_FOLDERS:
        return "built"
    if path.name in _LOCK_FILES:
        return "lock_file"
    return "generated" if _GENERATED_NAME.fullmatch(path.name) else None


def is_binary(content: bytes) -> bool:
    return b"\0" in content[:_BINARY_BYTES]


def reason_by_text(path: PurePosixPath, text: str) -> str | None:
    """Return why a file is left out by what it holds, None if that is no reason."""
    if not text.strip():
        return "empty"
    if _GENERATED_HEAD.search(text[:_HEAD_CHARACTERS]):
        return "generated"
    lines = text.splitlines()
    if path.suffix in _MINIFIED_SUFFIXES and len(text) / len(lines) > _MAX_MEAN_LINE:
        return "minified"
    return "long_lines" if max(map(len, lines)) > _MAX_LINE else None
