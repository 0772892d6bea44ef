"""The validated config, the artifacts' paths and the programs' code, for all stages."""

import shlex
import sys
from pathlib import Path

from scripts.common import canonical, code, layout
from scripts.common.config.workflow import load
from scripts.common.errors import UserError

try:
    cfg = load(config)
except UserError as error:
    raise WorkflowError(str(error))

# Without its own records Snakemake takes whatever lies there for the result of today's settings.
if (
    workflow.is_main_process
    and not any(Path(".snakemake/metadata").rglob("*"))
    and any(Path(layout.RESULTS).glob("documents/*/*/content.json"))
):
    raise WorkflowError(
        f"{layout.RESULTS}/ holds artifacts, but Snakemake's records of them (.snakemake/metadata) are "
        "gone, so that it cannot tell which settings made them: "
        f"`find {layout.RESULTS} -name {layout.CONTENT} -delete`, then run Snakemake again; what today's "
        "inputs, settings and code would make is recognised by its manifest and kept"
    )

# Programs are run as modules of this repository, also with `snakemake --directory`, and without
# --sdm by the Python that runs Snakemake, whether or not its environment is activated. A prefix
# replaces Snakemake's strict mode: without it, a program that fails before `| tee` would count as done.
path = (
    "" if workflow.deployment_settings.deployment_method else f"{os.path.dirname(sys.executable)}:"
)
environment = (
    f"export PYTHONPATH={shlex.quote(str(workflow.basedir))} PATH={shlex.quote(path)}$PATH"
)
shell.prefix(f"set -euo pipefail; {environment}; ")


def house(file):
    """A file of this repository, as a path from the working directory."""
    return os.path.normpath(os.path.join(os.path.relpath(workflow.basedir), file))


def program(*modules):
    """The hash of what a program is made of: a param, so that an edit reruns it and a touch does not.

    As inputs, some thirty files of every job would be looked up, recorded and compared.
    """
    return code.code_hash(*modules)


def settings(value):
    """One canonical string: Snakemake compares params as an unordered set of their texts."""
    return canonical.dumps(value.model_dump(mode="json") if hasattr(value, "model_dump") else value)


def each_shard(artifact, sources=None, **names):
    """The content records of one artifact for every shard of the sources (all, unless named)."""
    return [
        artifact(source=source, shard=shard, **names)
        for source in (cfg.sources if sources is None else sources)
        for shard in cfg.shards(source)
    ]


def all_shards(artifact, **names):
    """What each_shard names, for rules that read all shards of one artifact.

    Every job on a cluster reads the rules anew, and few need these names: there a function gives
    them. Where all jobs are planned they are listed at once, which Snakemake compares faster.
    """
    if workflow.is_main_process:
        return each_shard(artifact, **names)
    return lambda wildcards: each_shard(artifact, **names)


# The image of all rules, for `--sdm apptainer`; envs/README.md says how it is built.
container: house("envs/midtrain.sif")


wildcard_constraints:
    source="|".join(cfg.sources),
    shard=r"\d+",
    phase="|".join(cfg.phases),
    task="|".join(cfg.evaluate.tasks),
    rater="|".join(cfg.raters) or "none",
