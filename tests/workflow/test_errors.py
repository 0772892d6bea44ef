"""What a user does wrong is told before or in the job, with the remedy, and nothing is lost."""

from pathlib import Path

import yaml

from tests.workflow.conftest import Workspace


def test_a_faulty_config_stops_before_any_job(workspace: Workspace) -> None:
    config = workspace.config()
    config["mixtures"]["base"]["general"] = 0.5
    workspace.write_config(config)
    before = workspace.contents()
    done = workspace.snakemake(check=False)
    assert done.returncode == 1
    assert "mixtures.base: the weights sum to 0.7; make them sum to 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert workspace.contents() == before


def test_malformed_lines_are_quarantined_and_counted(workspace: Workspace) -> None:
    quarantined = [
        content for path, content in workspace.contents().items() if "documents/prose" in path
    ]
    assert sum(content.count(b'"quarantined":1') for content in quarantined) == 1


def test_too_many_malformed_lines_fail(workspace: Workspace) -> None:
    config = workspace.config()
    config["sources"]["prose"]["max_quarantined"] = 0.0
    workspace.write_config(config)
    done = workspace.snakemake("--keep-going", check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "max_quarantined" in output and "prose.jsonl" in output


def test_a_token_budget_that_no_source_can_fill(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"].update(tokens="40M", max_epochs=2)
    workspace.write_config(config)
    done = workspace.snakemake(check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "max_epochs" in output and "anneal" in output
    assert "results/phases/control/content.json" in workspace.contents()


def test_a_missing_tokenizer_is_named(workspace: Workspace) -> None:
    config = workspace.config()
    config["tokenizer"] = {"name": "small", "path": "/nowhere/tokenizer"}
    workspace.write_config(config)
    done = workspace.snakemake(check=False)
    assert done.returncode == 1
    assert "/nowhere/tokenizer" in done.stdout + done.stderr


def test_a_truncated_checkpoint_is_not_trained_from(workspace: Workspace) -> None:
    weights = workspace.folder / "results/phases/base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    config = workspace.config()
    config["phases"]["anneal"]["lr"] = "Cosine(0)"
    workspace.write_config(config)
    done = workspace.snakemake(check=False)
    assert done.returncode == 1
    assert "model.safetensors is missing or truncated" in done.stdout + done.stderr


def test_a_lost_record_is_made_again_from_intact_members(workspace: Workspace) -> None:
    record = workspace.folder / "results/phases/anneal/content.json"
    before = record.read_bytes()
    record.unlink()
    done = workspace.snakemake("results/phases/anneal/content.json")
    assert "results/phases/anneal: kept" in done.stdout + done.stderr
    assert record.read_bytes() == before


def test_the_report_stands_alone(workspace: Workspace) -> None:
    page = Path(workspace.folder / "results/report/index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="' not in page.replace('src="data:', "")


def test_a_faulty_learning_rate_stops_before_any_job(workspace: Workspace) -> None:
    config = workspace.config()
    config["phases"]["anneal"]["lr"] = "Linear(0) -> Constnat(1e-3)"
    workspace.write_config(config)
    done = workspace.snakemake("--dry-run", check=False)
    assert done.returncode == 1
    output = done.stdout + done.stderr  # a dry run reports to standard output
    assert "phases.anneal.lr" in output and "Constnat" in output


def test_a_configuration_of_ones_own_takes_the_demos_place(workspace: Workspace) -> None:
    """Merged with the demo's, as Snakemake would do by itself, both would be found at fault."""
    config = workspace.config()
    own = workspace.folder / "own.yaml"
    own.write_text(yaml.safe_dump(config))
    workspace.write_config({"title": "another", "sources": {"other": {"reader": "unknown"}}})
    done = workspace.snakemake("--dry-run", "--configfile", str(own))
    assert "Nothing to be done" in done.stdout + done.stderr
