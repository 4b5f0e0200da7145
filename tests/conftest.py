"""Databases that tests run on: SQLite always, PostgreSQL where it can be started."""

import pytest

from memory.store import Store
from postgres_server import INSTALL, PostgresServer, programs


@pytest.fixture(scope="session")
def postgres():
    """Yield a running server, one for all tests of this process."""
    bin = programs()
    if bin is None:
        pytest.skip(INSTALL)
    server = PostgresServer(bin)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def emptied(postgres):
    """Return a function that gives the URL of one and the same database, emptied each time."""
    url = postgres.new_database()
    Store.open(url).close()

    def empty():
        postgres.empty(url)
        return url

    return empty


def pytest_generate_tests(metafunc):
    """Run whatever asks for `database` on both, where `postgresql(slow=True)` on SQLite sooner."""
    if "database_kind" in metafunc.fixturenames:
        told = metafunc.definition.get_closest_marker("postgresql")
        marks = [pytest.mark.slow] if told and told.kwargs["slow"] else []
        kinds = ["sqlite", pytest.param("postgresql", marks=marks)]
        metafunc.parametrize("database_kind", kinds)


@pytest.fixture
def database(database_kind, request, tmp_path):
    """Return where an empty store is: a path or a URL."""
    if database_kind == "sqlite":
        return tmp_path / "store.db"
    return request.getfixturevalue("emptied")()


@pytest.fixture
def fresh(database_kind, request, tmp_path):
    """Return where nothing is yet: a path, or the URL of a database without tables."""
    if database_kind == "sqlite":
        return tmp_path / "store.db"
    return request.getfixturevalue("postgres").new_database()
