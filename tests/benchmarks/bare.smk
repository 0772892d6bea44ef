# The jobs of `scale.py`'s configuration with the same inputs and outputs, and nothing else: what
# Snakemake costs without settings, hashes of code, logs, environments and constraints.

SOURCES = ["good", "bad"]
ANNOTATORS = ["gopher", "c4", "fineweb", "language"]
SHARDS = range(config["shards"])


def each_shard(pattern):
    return expand(f"results/{pattern}/content.json", source=SOURCES, shard=SHARDS)


rule all:
    input:
        "results/report/content.json",


rule collect_documents:
    input:
        "data/{source}/{shard}.jsonl",
    output:
        "results/documents/{source}/{shard}/content.json",
    shell:
        "touch {output}"


rule annotate_attributes:
    input:
        "results/documents/{source}/{shard}/content.json",
    output:
        "results/attributes/{source}/{annotator,gopher|c4|fineweb|language}/{shard}/content.json",
    shell:
        "touch {output}"


rule annotate_rater:
    input:
        each_shard("documents/{source}/{shard}"),
    output:
        "results/raters/quality/content.json",
    shell:
        "touch {output}"


rule annotate_score:
    input:
        "results/documents/{source}/{shard}/content.json",
        "results/raters/quality/content.json",
    output:
        "results/attributes/{source}/quality/{shard}/content.json",
    shell:
        "touch {output}"


rule deduplicate_signatures:
    input:
        "results/documents/{source}/{shard}/content.json",
    output:
        "results/signatures/{source}/{shard}/content.json",
    shell:
        "touch {output}"


rule deduplicate_clusters:
    input:
        each_shard("signatures/{source}/{shard}"),
    output:
        "results/duplicates/content.json",
    shell:
        "touch {output}"


rule decontaminate_index:
    input:
        "items.jsonl",
    output:
        "results/contamination/index/content.json",
    shell:
        "touch {output}"


rule decontaminate_scan:
    input:
        "results/documents/{source}/{shard}/content.json",
        "results/contamination/index/content.json",
    output:
        "results/attributes/{source}/contamination/{shard}/content.json",
    shell:
        "touch {output}"


rule decontaminate_items:
    input:
        "results/contamination/index/content.json",
        each_shard("attributes/{source}/contamination/{shard}"),
    output:
        "results/contamination/items/content.json",
    shell:
        "touch {output}"


rule decontaminate_planted:
    input:
        "results/contamination/index/content.json",
        each_shard("documents/{source}/{shard}"),
    output:
        "results/contamination/planted/content.json",
    shell:
        "touch {output}"


rule select_documents:
    input:
        "results/documents/{source}/{shard}/content.json",
        "results/duplicates/content.json",
        "results/attributes/{source}/contamination/{shard}/content.json",
        "results/attributes/{source}/quality/{shard}/content.json",
        expand(
            "results/attributes/{{source}}/{annotator}/{{shard}}/content.json",
            annotator=ANNOTATORS,
        ),
    output:
        "results/selected/{source}/{shard}/content.json",
    shell:
        "touch {output}"


rule tokenize_tokenizer:
    input:
        each_shard("documents/{source}/{shard}"),
        each_shard("selected/{source}/{shard}"),
    output:
        "results/tokenizers/small/content.json",
    shell:
        "touch {output}"


rule tokenize_tokens:
    input:
        "results/documents/{source}/{shard}/content.json",
        "results/selected/{source}/{shard}/content.json",
        "results/tokenizers/small/content.json",
    output:
        "results/tokens/small/{source}/{shard}/content.json",
    shell:
        "touch {output}"


rule tokenize_heldout:
    input:
        each_shard("documents/{source}/{shard}"),
        "results/tokenizers/small/content.json",
    output:
        "results/heldout_tokens/small/content.json",
    shell:
        "touch {output}"


rule mix_order:
    input:
        each_shard("tokens/small/{source}/{shard}"),
    output:
        "results/orders/anneal/content.json",
    shell:
        "touch {output}"


rule train_phase:
    input:
        "results/orders/anneal/content.json",
        "results/tokenizers/small/content.json",
        "results/heldout_tokens/small/content.json",
        each_shard("tokens/small/{source}/{shard}"),
    output:
        "results/phases/anneal/content.json",
    shell:
        "touch {output}"


rule evaluate_bits_per_byte:
    input:
        "results/phases/anneal/content.json",
        each_shard("documents/{source}/{shard}"),
    output:
        "results/evaluations/anneal/bits_per_byte/content.json",
    shell:
        "touch {output}"


rule evaluate_compare:
    output:
        "results/comparison/content.json",
    shell:
        "touch {output}"


rule report_page:
    input:
        each_shard("documents/{source}/{shard}"),
        each_shard("selected/{source}/{shard}"),
        each_shard("attributes/{source}/contamination/{shard}"),
        each_shard("attributes/{source}/quality/{shard}"),
        "results/contamination/items/content.json",
        "results/contamination/planted/content.json",
        "results/orders/anneal/content.json",
        "results/phases/anneal/content.json",
        "results/evaluations/anneal/bits_per_byte/content.json",
        "results/comparison/content.json",
    output:
        "results/report/content.json",
    shell:
        "touch {output}"
