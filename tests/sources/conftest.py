"""A MariaDB for the tests of sources, and a database for each."""

from collections.abc import Iterator

import pytest

from tests.mariadb import MariaDb, Site, running_mariadb


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with running_mariadb(tmp_path_factory.mktemp("mariadb")) as started:
        yield started


@pytest.fixture
def site(server: MariaDb) -> Iterator[Site]:
    made = Site(server)
    yield made
    made.run(f"DROP DATABASE {made.name}")
