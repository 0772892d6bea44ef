"""Which files of a folder make up a Hugging Face tokenizer."""

from pathlib import Path

_SUFFIXES = {".json", ".txt", ".model", ".jinja"}  # a checkpoint's weights have others


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files in ``folder`` that a tokenizer may be read from; none if there is none."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
