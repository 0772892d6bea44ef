"""The user's files that a rater is made of: inputs of its training, which reruns if they change."""

from pathlib import Path

from scripts.common import canonical
from scripts.common.config.annotate import AnyRater
from scripts.common.errors import UserError
from scripts.common.model_folder import model_files


def rater_files(rater: AnyRater) -> list[Path]:
    """Return the files behind a rater: its model's, its labels, its judgments."""
    files = [Path(name) for name in (*getattr(rater, "labels", ()), *getattr(rater, "pairs", ()))]
    path = getattr(rater, "path", None)
    if path is None:
        return files
    return [*files, *([Path(path)] if rater.kind == "fasttext" else model_files(Path(path)))]


def hashes(name: str, paths: list[Path]) -> dict[str, str]:
    """Return the sha256 of a rater's files by path; raises UserError for one that is not there."""
    for path in paths:
        if not path.is_file():
            raise UserError(f"raters.{name}: {path} is no file: correct the path")
    return {path.as_posix(): canonical.sha256_file(path) for path in paths}
