"""One SLURM cluster for all tests of this folder: `make test-slurm` runs them in one process."""

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, missing, started


@pytest.fixture(scope="session")
def sole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if absent := missing():
        pytest.skip(
            f"a SLURM cluster needs {', '.join(absent)}: "
            "apt-get install slurm-wlm slurmdbd mariadb-server munge"
        )
    with started(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def cluster(sole_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster without jobs, all of whose daemons run: what a test breaks is mended behind it."""
    yield sole_cluster
    sole_cluster.mend()
