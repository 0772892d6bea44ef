"""What the rules of `decontaminate` need to know of the configuration: their inputs and settings."""

from pathlib import Path

from scripts.common.model_folder import model_files
from scripts.decontaminate.benchmarks import files_of

decontaminate_rules = {"rules": [rule.model_dump(mode="json") for rule in cfg.decontaminate.chosen]}
decontaminate_encoders = {
    name: encoder.model_dump(mode="json") for name, encoder in cfg.decontaminate.encoders.items()
}


def benchmark_files(benchmarks):
    """The user's files of evaluation items; a pattern that matches none is an error at once."""
    try:
        found = {file for name, one in benchmarks.items() for file in files_of(name, one)}
    except UserError as error:
        raise WorkflowError(str(error))
    return sorted(found)


def decontaminate_encoder_files(wildcards):
    """The files of all encoders: other weights find other documents."""
    paths = {Path(encoder.path) for encoder in cfg.decontaminate.encoders.values()}
    return sorted(file for path in paths for file in model_files(path))
