"""The rerun table of the design: what a change runs again, and nothing else, on a real DAG."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from scripts.common import canonical
from tests.workflow.conftest import Job, Workspace, check_out

SHARDS = [("prose", "0"), ("prose", "1"), ("code", "0"), ("problems", "0")]
PHASES = ["base", "anneal", "control"]
TASKS = ["arithmetic", "bits_per_byte"]
END: set[Job] = {("evaluate_compare",), ("report_page",)}


def evaluations(*phases: str) -> set[Job]:
    """The evaluations of the phases (base is not evaluated), the comparison and the report."""
    evaluated = [phase for phase in phases if phase != "base"]
    harness = {("evaluate_harness", phase, "arithmetic") for phase in evaluated}
    bits = {("evaluate_bits_per_byte", phase, "bits_per_byte") for phase in evaluated}
    return harness | bits | END


def trained(*phases: str) -> set[Job]:
    return {("train_phase", phase) for phase in phases} | evaluations(*phases)


def mixed(*phases: str) -> set[Job]:
    return {("mix_order", phase) for phase in phases} | trained(*phases)


OVER_ALL_DOCUMENTS: set[Job] = {
    ("deduplicate_clusters",),
    ("decontaminate_items",),
    ("decontaminate_planted",),
}
FROM_SELECTION = {
    ("tokenize_tokenizer",),
    ("tokenize_heldout",),
    *(("tokenize_tokens", *shard) for shard in SHARDS),
} | mixed(*PHASES)


def test_nothing_changed_runs_nothing(workspace: Workspace) -> None:
    assert workspace.planned() == set()


def test_other_resources_run_nothing(workspace: Workspace) -> None:
    assert workspace.planned("--cores", "1", "--set-threads", "train_phase=1") == set()


def test_a_fresh_checkout_runs_nothing(workspace: Workspace) -> None:
    for name in ("Snakefile", "rules", "scripts", "envs", "profiles", "config/tasks"):
        path = workspace.folder / name
        remove = shutil.rmtree if path.is_dir() else Path.unlink
        remove(path)
    check_out(workspace.folder, leave=("config/config.yaml",))
    assert workspace.planned() == set()


def test_touched_files_run_nothing(workspace: Workspace) -> None:
    later = time.time() + 10
    for folder in ("scripts", "rules", "config", "results"):
        for file in (workspace.folder / folder).rglob("*"):
            if file.is_file():
                os.utime(file, (later, later))
    os.utime(workspace.folder / "Snakefile", (later, later))
    assert workspace.planned() == set()


def test_reordered_keys_and_comments_run_nothing(workspace: Workspace) -> None:
    workspace.write_config(workspace.config(), sort_keys=True)
    with workspace.config_file.open("a") as config:
        config.write("# a comment\n")
    assert workspace.planned() == set()


def test_the_same_values_written_otherwise_run_nothing(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"].update(tokens="8192", max_epochs=50.0)
    config["mixtures"]["base"] = {"math": 0.1, "code": 1e-1, "general": 0.80}
    workspace.write_config(config)
    assert workspace.planned() == set()


def test_a_comment_in_a_rule_runs_nothing_and_an_edited_command_its_rule(
    workspace: Workspace,
) -> None:
    rules = workspace.folder / "rules/report.smk"
    rules.write_text("# a comment\n" + rules.read_text())
    assert workspace.planned() == set()
    edited = rules.read_text().replace("python -m scripts.report", "python -B -m scripts.report")
    rules.write_text(edited)
    assert workspace.planned() == {("report_page",)}


def test_every_job_has_its_codes_hash_and_settings_that_are_canonical_text(
    workspace: Workspace,
) -> None:
    """Paths, sets, other objects and values computed from inputs are compared wrongly or not."""
    records = [
        json.loads(file.read_text())
        for file in (workspace.folder / ".snakemake/metadata").rglob("*")
        if file.is_file()
    ]
    assert len(records) > len(SHARDS) * 6
    for record in records:
        texts = list(map(ast.literal_eval, record["params"]))
        if record["rule"] == "train_phase":  # what its program is run by is no JSON
            texts.remove("python")
        (code,) = (text for text in texts if re.fullmatch("[0-9a-f]{64}", text))
        texts.remove(code)
        (parameter,) = texts
        assert canonical.dumps(json.loads(parameter)) == parameter, record["rule"]


def test_lost_records_are_an_error_until_all_is_checked(workspace: Workspace) -> None:
    """Snakemake alone would say that there is nothing to do, whatever has changed."""
    shutil.rmtree(workspace.folder / ".snakemake/metadata")
    done = workspace.snakemake("--dry-run", check=False)
    assert done.returncode == 1
    remedy = re.search(r"`(find .*? -delete)`", done.stdout + done.stderr)
    assert remedy
    subprocess.run(shlex.split(remedy[1]), cwd=workspace.folder, check=True)
    made = workspace.snakemake("results/documents/problems/0/content.json")
    assert "results/documents/problems/0: kept" in made.stdout + made.stderr


def test_a_mixture_weight(workspace: Workspace) -> None:
    config = workspace.config()
    config["mixtures"]["anneal"].update(general=0.3, math=0.4)
    workspace.write_config(config)
    assert workspace.planned() == mixed("anneal")
    before = workspace.contents()
    assert workspace.run() == mixed("anneal")
    after = workspace.contents()
    assert {path for path in after if after[path] != before[path]} >= {
        "results/orders/anneal/content.json",
        "results/phases/anneal/content.json",
    }
    assert (
        after["results/phases/control/content.json"]
        == before["results/phases/control/content.json"]
    )
    assert workspace.planned() == set()


def test_the_trunks_mixture_weight_reaches_its_descendants(workspace: Workspace) -> None:
    config = workspace.config()
    config["mixtures"]["base"].update(general=0.7, math=0.2)
    workspace.write_config(config)
    assert workspace.planned() == mixed(*PHASES)


def test_a_selection_threshold(workspace: Workspace) -> None:
    config = workspace.config()
    config["select"]["general"]["bounds"]["gopher_words"] = [100, None]
    workspace.write_config(config)
    selection = {("select_documents", "prose", "0"), ("select_documents", "prose", "1")}
    assert workspace.planned() == selection | FROM_SELECTION


def test_a_bound_on_what_was_not_measured(workspace: Workspace) -> None:
    config = workspace.config()
    config["select"]["general"]["bounds"]["c4_sentences"] = [1, None]
    workspace.write_config(config)
    rules = {("annotate_attributes", "prose", "c4", shard) for shard in "01"}
    rules |= {("select_documents", "prose", shard) for shard in "01"}
    assert workspace.planned() == rules | FROM_SELECTION


def test_attributes_for_their_own_sake(workspace: Workspace) -> None:
    config = workspace.config()
    config["annotate"] = ["unicode", "gopher"]
    workspace.write_config(config)
    has_gopher = {("prose", "0"), ("prose", "1")}
    assert workspace.planned() == {
        ("annotate_attributes", source, name, shard)
        for source, shard in SHARDS
        for name in ("unicode", "gopher")
        if name == "unicode" or (source, shard) not in has_gopher
    }


def test_an_edited_annotator_runs_again_alone(workspace: Workspace) -> None:
    for name in ("gopher", "c4"):  # nothing asks for c4's measures
        file = workspace.folder / f"scripts/annotate/{name}.py"
        file.write_text(file.read_text() + "\n# an edit that changes no result\n")
    rules = {("annotate_attributes", "prose", "gopher", shard) for shard in "01"}
    rules |= {("select_documents", "prose", shard) for shard in "01"}
    assert workspace.planned() == rules | FROM_SELECTION


def test_a_learning_rate(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"]["lr"] = "Cosine(0)"
    workspace.write_config(config)
    assert workspace.planned() == trained("anneal")


def test_how_often_held_out_text_is_measured_trains_nothing_again(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"]["heldout_tokens"] = "2K"
    config["tracking"] = {"wandb": {"project": "midtrain"}}
    workspace.write_config(config)
    before = workspace.contents()
    done = workspace.snakemake()
    kept = set(re.findall(r"results/(\S+): kept", done.stdout + done.stderr))
    assert {f"phases/{phase}" for phase in PHASES} <= kept
    assert workspace.contents() == before
    assert workspace.planned() == set()


def test_a_weight_of_a_merge(workspace: Workspace) -> None:
    """It is no matter of what comes before, nor of the order of what comes after."""
    config = workspace.config()
    phases = config["phases"]
    phases["soup"] = {"merge": {"anneal": 1, "control": 1}}
    child = {"parent": "soup", "lr": "Constant(1e-4)", "inherit": {"optimizer": False}}
    phases["after"] = {**phases["anneal"], **child}
    config["evaluate"]["phases"] += ["soup", "after"]
    config["evaluate"]["compare"]["soup"] = ["anneal"]
    workspace.write_config(config)
    merged: Job = ("merge_phases", "soup")
    assert workspace.planned() == {merged} | evaluations("soup") | mixed("after")

    target = "results/phases/after/content.json"
    workspace.snakemake(target)
    assert workspace.planned(target) == set()
    phases["soup"]["merge"] = {"control": 2, "anneal": 2.0}
    workspace.write_config(config)
    assert workspace.planned(target) == set()
    phases["soup"]["merge"]["control"] = 1
    workspace.write_config(config)
    assert workspace.planned(target) == {merged, ("train_phase", "after")}
    phases["control"]["seed"] = 1
    workspace.write_config(config)
    before = {("mix_order", "control"), ("train_phase", "control"), ("mix_order", "after")}
    assert workspace.planned(target) == before | {merged, ("train_phase", "after")}


def test_two_values_swapped_are_a_change(workspace: Workspace) -> None:
    """Snakemake compares params as a set of texts: swapped values would not be seen one by one."""
    config = workspace.config()
    config["phases"]["anneal"]["optimizer"] = {"beta1": 0.95, "beta2": 0.9}
    workspace.write_config(config)
    assert workspace.planned() == trained("anneal")


def test_a_new_source(workspace: Workspace) -> None:
    config = workspace.config()
    config["sources"]["more"] = {"reader": "problems", "domain": "math", "count": 50, "seed": 9}
    config["deduplicate"]["preference"].append("more")
    workspace.write_config(config)
    curation = {
        (rule, "more", "0")
        for rule in ("collect_documents", "deduplicate_signatures", "decontaminate_scan",
                     "tokenize_tokens")
    }  # fmt: skip
    everything_after = {("select_documents", *shard) for shard in [*SHARDS, ("more", "0")]}
    assert workspace.planned() == (
        curation | everything_after | OVER_ALL_DOCUMENTS | FROM_SELECTION
    )


def test_a_new_task(workspace: Workspace) -> None:
    config = workspace.config()
    config["evaluate"]["tasks"]["bytes_again"] = {
        "kind": "bits-per-byte",
        "documents_per_source": 2,
    }
    workspace.write_config(config)
    assert workspace.planned() == END | {
        ("evaluate_bits_per_byte", phase, "bytes_again") for phase in ("anneal", "control")
    }


def test_an_edited_helper_reruns_the_programs_that_import_it(workspace: Workspace) -> None:
    """What is behind them is planned by Snakemake, but keeps what it has: nothing is redone."""
    helper = workspace.folder / "scripts/mix/pack.py"
    helper.write_text(helper.read_text() + "\n# an edit that changes no result\n")
    assert workspace.planned() == mixed(*PHASES)
    before = workspace.contents()
    done = workspace.snakemake()
    kept = set(re.findall(r"results/(\S+): kept", done.stdout + done.stderr))
    assert {f"phases/{phase}" for phase in PHASES} <= kept
    assert "evaluations/anneal/arithmetic" in kept
    assert not any(name.startswith("orders/") for name in kept)
    assert workspace.contents() == before
    assert workspace.planned() == set()


def test_a_dry_run_explains_every_job(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"]["lr"] = "Cosine(0)"
    workspace.write_config(config)
    output = workspace.snakemake("--dry-run").stdout
    jobs = re.findall(r"^(?:local)?rule \w+:", output, re.MULTILINE)
    reasons = re.findall(r"^    reason: \S", output, re.MULTILINE)
    assert len(jobs) == len(reasons) > 3
