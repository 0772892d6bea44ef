"""The reader of installed packages, on packages that the tests install."""

import json
import sys

import pytest

from scripts.collect.readers import reader_of
from scripts.collect.readers.python_environment import docstrings
from scripts.common.config.collect import PythonEnvironmentSource
from scripts.common.errors import UserError

PROSE = "A sentence that explains what this is for. " * 6


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Install distributions into a folder that is all of the import path."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(name, files, headers="", description="", direct_url=None):
        info = f"{name}-1.0.dist-info"
        content = {
            **files,
            f"{info}/METADATA": f"Name: {name}\nVersion: 1.0\n{headers}\n{description}",
        }
        if direct_url is not None:
            content[f"{info}/direct_url.json"] = json.dumps(direct_url)
        content[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in content)
        for file, value in content.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else value.encode())

    return install


def read(content, packages=(), shards=1, **options):
    source = PythonEnvironmentSource(
        reader="python-environment",
        domain="code",
        content=content,
        packages=list(packages),
        shards=shards,
        **options,
    )
    return [found for shard in range(shards) for found in reader_of(source).read(shard)]


def test_source_reads_modules_and_runs_none(environment):
    environment(
        "My_Pack",
        {
            "my_pack/core.py": "raise SystemExit('imported')\n",
            "my_pack/__init__.py": "",
            "my_pack/long.py": "x = 1\n" * 100,
            "my_pack/tests/test_core.py": "assert True\n",
            "my_pack/test_core.py": "assert True\n",
            "my_pack/latin.py": b"# caf\xe9\n",
            "my_pack/data.json": "{}",
        },
        headers="License-Expression: MIT\n",
    )
    core, latin = read("source", ["my.pack"], max_characters=200)
    assert core.locator == "pypi:my-pack==1.0/my_pack/core.py"
    assert (core.license, core.metadata) == ("MIT", {"package": "my-pack", "version": "1.0"})
    assert (latin.locator, latin.reason) == ("pypi:my-pack==1.0/my_pack/latin.py", "not_utf8")


def test_docstrings_have_qualified_headings_and_need_prose(environment):
    module = (
        f'"""{PROSE}"""\n\nclass Box:\n'
        '    def open(self):\n        """Open.\n\n        Wide.\n        """\n'
    )
    environment(
        "pack", {"pack/__init__.py": module, "pack/few.py": '"""Few words."""', "pack/no.py": "def"}
    )
    document, broken = read("docstrings", ["pack"])
    assert document.text == f"# pack\n\n{PROSE.strip()}\n\n# pack.Box.open\n\nOpen.\n\nWide."
    assert (broken.locator, broken.reason) == ("pypi:pack==1.0/pack/no.py", "syntax_error")


def test_docstrings_within_functions_are_left_out():
    code = 'async def f():\n    """F."""\n    def g():\n        """G."""\n'
    assert docstrings(code, "m") == [("m.f", "F.")]


def test_descriptions_are_of_all_packages_that_are_alike_everywhere(environment):
    environment("plain", {}, description="About plain.\n")
    environment("silent", {})
    environment("torch", {}, description="About torch.\n")
    environment("local", {}, description="Mine.\n", direct_url={"url": "file:///x", "dir_info": {}})
    assert [(one.locator, one.text.strip()) for one in read("descriptions")] == [
        ("pypi:plain==1.0", "About plain.")
    ]


@pytest.mark.parametrize(
    ("headers", "license"),
    [
        ("License-Expression: MIT\nLicense: Other\n", "MIT"),
        ("License: BSD\n", "BSD"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: ISC License\n", "ISC License"),
        (f"License: {'long ' * 50}\nClassifier: License :: Zlib\n", "Zlib"),
        ("", None),
    ],
)
def test_the_license_is_the_most_exact_that_the_metadata_state(environment, headers, license):
    environment("pack", {}, headers=headers, description="About.")
    assert read("descriptions")[0].license == license


def test_topics_are_shared_out_over_shards():
    whole, parts = read("topics"), read("topics", shards=3)
    assert sorted(one.locator for one in parts) == [one.locator for one in whole]
    assert len(whole) > 50


def test_a_package_that_is_not_installed_is_an_error(environment):
    environment("here", {})
    with pytest.raises(UserError, match="not installed: absent; correct `packages`"):
        read("source", ["here", "absent"])


def test_an_editable_package_is_an_error(environment):
    environment("mine", {}, direct_url={"url": "file:///x", "dir_info": {"editable": True}})
    with pytest.raises(UserError, match="mine is an editable install"):
        read("source", ["mine"])
