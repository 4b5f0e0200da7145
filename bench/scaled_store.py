"""What a store of 10^4 to 10^6 episodes takes on each database: time to write, list and search it.

Episodes are those of `bench.store`, 30 steps long, with rare words in them besides the common ones.
"""

import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from sqlite3 import connect

from bench.figures import Figure, flags, report
from bench.postgres import INSTALL, PostgresServer, programs
from bench.store import filtered, lives, p50_ms
from environments.episode import Episode
from memory.bank.pages import Pages
from memory.store.store import BATCH, Store

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (2_000,)
DATABASES = ("sqlite", "postgresql")

NAMES = 50_000
"""Rare words; each episode holds four of them, as goals and rooms of many worlds would."""

CONFIDENT = ("shared_buffers=512MB", "work_mem=32MB", "max_wal_size=4GB")
"""What a server of this size would be given; all else is as PostgreSQL comes, fsync included."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is, and what is asked of it beside the store."""

    where: str
    settle: Callable[[], object]  # does what the database would do by itself in some minutes
    size: Callable[[], int]  # bytes


def main(arguments: Sequence[str] | None = None) -> None:
    parser = flags(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", help="episodes [10^4 10^5 10^6]")
    parser.add_argument("--on", choices=DATABASES, nargs="+", default=DATABASES, help="databases")
    options = parser.parse_args(arguments)
    sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
    figures = store_figures(sizes, options.on)
    packages = ("psycopg", "pydantic", "sqlalchemy")
    report("scaled_store", figures, json_path=options.json, packages=packages, argv=arguments)


def store_figures(
    sizes: Sequence[int] = SIZES, databases: Sequence[str] = DATABASES
) -> dict[str, Figure]:
    """Return the figures of each database, at each of these sizes, by name: `sqlite_1e4_...`.

    One store grows from size to size, so that the last is not filled three times.
    """
    figures: dict[str, Figure] = {}
    for name in databases:
        with OPENED[name]() as place:
            if place is None:
                figures[f"{name}_left_out"] = INSTALL
            else:
                figures.update(_grown(name, place, sorted(sizes)))
    return figures


def _grown(name: str, place: Place, sizes: Sequence[int]) -> Iterator[tuple[str, Figure]]:
    coming, before = told(max(sizes)), 0
    with Store.open(place.where) as store, Pages.open(place.where) as pages:
        empty = place.size()
        for size in sizes:
            took_s, busy_s = filled(store, islice(coming, size - before))
            place.settle()
            measured = {
                "insert_per_s": (size - before) / took_s,
                "insert_cpu_us": 1e6 * busy_s / (size - before),  # ours; not the server's
                **listed(store),
                **searched(pages),
                "bytes_per_episode": (place.size() - empty) / size,
            }
            before = size
            yield from ((f"{name}_{_short(size)}_{key}", each) for key, each in measured.items())


def filled(store: Store, coming: Iterable[Episode]) -> tuple[float, float]:
    """Store episodes; return how long that took, and our share of it, without their making."""
    took_s = busy_s = 0.0
    remaining = iter(coming)
    while some := list(islice(remaining, BATCH)):
        began, busy = time.perf_counter(), time.process_time()
        store.add_all(some)
        took_s += time.perf_counter() - began
        busy_s += time.process_time() - busy
    return took_s, busy_s


def _short(size: int) -> str:
    """Return a number as it is said.

    >>> _short(100_000)
    '1e5'
    """
    return f"{size:.0e}".replace("+0", "")


def listed(store: Store) -> Mapping[str, Figure]:
    """Return how long a page of episodes takes, plain and by the slowest filter."""
    older = store.rows(limit=50)[-1].id
    filters = {key: ms for key, ms in filtered(store).items() if key.startswith("filter")}
    return {
        "list_p50_ms": max(p50_ms(store.rows), p50_ms(lambda: store.rows(before=older))),
        "filter_p50_ms": max(float(ms or 0) for ms in filters.values()),
        "count_p50_ms": p50_ms(store.count, 5),
    }


def searched(pages: Pages) -> Mapping[str, Figure]:
    """Return how long words take that most episodes hold, that few do, and that none does."""
    asked = {
        "search_common_p50_ms": "fridge mug",
        "search_some_p50_ms": "bathtubbasin lettuce spatula armchair bread pan",
        "search_rare_p50_ms": "name00007",
        "search_rare_and_common_p50_ms": "name00007 fridge",
        "search_nothing_p50_ms": "name00007 name00008 fridge",
    }
    took = {
        key: p50_ms(lambda words=words: pages.episodes(words=words, limit=50))
        for key, words in asked.items()
    }
    return {"search_p50_ms": max(took.values()), **took}


def told(many: int) -> Iterator[Episode]:
    """Yield episodes of the usual size, each with rare words of its own."""
    rng = random.Random(2)
    for episode in lives(many):
        names = " ".join(f"name{rng.randrange(NAMES):05d}" for _ in range(4))
        yield replace(episode, closing=f"You won with {names}.")


@contextmanager
def sqlite() -> Generator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        yield Place(str(path), lambda: _checkpoint(path), lambda: path.stat().st_size)


def _checkpoint(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def postgresql() -> Generator[Place | None]:
    """Yield a database of a server of our own, or None where there is none to start."""
    bin = programs()
    if bin is None:
        yield None
        return
    server = PostgresServer(bin, CONFIDENT)
    try:
        server.start()
        name = server.new_database()
        yield Place(
            server.url(name),
            lambda: server.ask("VACUUM ANALYZE", name),
            lambda: int(server.ask(f"SELECT pg_database_size('{name}')").stdout),
        )
    finally:
        server.remove()


OPENED = {"sqlite": sqlite, "postgresql": postgresql}

if __name__ == "__main__":
    main()
