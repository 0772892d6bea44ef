from snakemake.utils import min_version

min_version("9.0")


# A configuration of one's own (--configfile) takes the demo's place; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/collect.smk"
include: "rules/annotate.smk"
include: "rules/deduplicate.smk"
include: "rules/decontaminate.smk"
include: "rules/select.smk"
include: "rules/tokenize.smk"
include: "rules/mix.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/watch.smk"


rule all:
    default_target: True
    input:
        layout.report(),
        annotations,
