"""What many tests ask for: databases (SQLite; PostgreSQL where it starts) and a tiny model."""

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from bench.postgres import CARELESS, INSTALL, PostgresServer, programs
from memory.store.store import Store


@pytest.fixture(scope="session")
def postgres():
    """Yield a running server, one for all tests of this process."""
    bin = programs()
    if bin is None:
        pytest.skip(INSTALL)
    server = PostgresServer(bin, CARELESS)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def emptied(postgres):
    """Return a function that gives the URL of one and the same database, emptied each time."""
    url = postgres.url(postgres.new_database())
    Store.open(url).close()
    engine = create_engine(url, poolclass=NullPool)
    tables = ", ".join(sorted({*inspect(engine).get_table_names()} - {"alembic_version"}))

    def empty():
        with engine.begin() as connection:
            connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY")
        return url

    return empty


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a folder with a model of a few thousand weights."""
    from tiny_learner import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def one_thread():
    """Let torch compute alone: models this small cost more when threads share them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    server = request.getfixturevalue("postgres")
    return server.url(server.new_database())
