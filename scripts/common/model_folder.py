"""Which files of a folder make up a Hugging Face model and its tokenizer."""

from pathlib import Path

# Weights are read from safetensors alone: other formats can run code when loaded.
_SUFFIXES = {".json", ".txt", ".model", ".safetensors"}


def model_files(folder: Path) -> list[Path]:
    """Return the files in ``folder`` that a model may be read from; none if there is none."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
