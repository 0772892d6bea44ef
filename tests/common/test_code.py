"""The files that a program is made of."""

import pytest

from scripts.common.code import code_hash, module_files


def test_direct_and_indirect_imports_are_found() -> None:
    files = module_files("scripts.common.artifact")
    assert "scripts/common/artifact.py" in files
    assert "scripts/common/provenance.py" in files  # imported directly
    assert "scripts/common/__init__.py" in files  # run on import
    assert "scripts/common/errors.py" in files


def test_a_program_depends_on_its_own_stages_settings_only() -> None:
    files = module_files("scripts.deduplicate.signatures")
    assert "scripts/common/config/base.py" in files
    assert "scripts/common/config/train.py" not in files
    assert "scripts/common/config/workflow.py" not in files


def test_the_hash_is_that_of_the_files() -> None:
    assert code_hash("scripts.common.artifact") != code_hash("scripts.common.files")
    assert code_hash("scripts.common.artifact") == code_hash("scripts.common.artifact")


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"scripts\.nothing"):
        module_files("scripts.nothing")
