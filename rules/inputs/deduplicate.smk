"""What the rules of `deduplicate` need to know of the configuration: their inputs and settings."""

from pathlib import Path

from scripts.common.model_folder import model_files
from scripts.common.config.deduplicate import Semantic

# The order of preference, which every job over all documents goes by.
deduplicate_order = {
    "preference": cfg.deduplicate.preference,
    "shards": cfg.source_shards(),
}

# Rules that nothing asks for still need settings: those of no encoder.
deduplicate_semantic = cfg.deduplicate.semantic or Semantic(path="none", clusters=1)


def deduplicate_encoder(wildcards):
    """The files of the sentence encoder: other weights make other embeddings."""
    return model_files(Path(deduplicate_semantic.path))
