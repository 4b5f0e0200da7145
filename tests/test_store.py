import itertools
import sqlite3
import subprocess
import sys
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from environments.episode import Ending, Split
from environments.wire import episode_to_json
from memory.store.body import packing, unpack
from memory.store.database import connect, writing
from memory.store.errors import StoreError, UnknownIdError
from memory.store.records import Run, row_of
from memory.store.store import BATCH, Store
from store_worker import MORNING, TASK, an_episode


@pytest.fixture
def store(database):
    with Store.open(database) as opened:
        yield opened


def a_run(id="r1", *, minute=0, **changes):
    plain = Run(
        id=id,
        environment="household",
        split=Split.TRAIN,
        policy="scripted",
        seed=-(2**63),
        episodes=40,
        started=MORNING + timedelta(minutes=minute),
        settings='{"lanes": 4}',
    )
    return replace(plain, **changes)


def edit(database, statement, **values):
    """Change what is stored behind the store's back."""
    engine = connect(database, busy_s=1)
    with writing(engine).begin() as connection:
        assert connection.execute(text(statement), values).rowcount == 1
    engine.dispose()


def test_an_episode_comes_back_exactly_as_it_was(store):
    plain = an_episode()
    crash = an_episode("e2", ending=Ending.BROKEN, error="Traceback\n  ...", steps=(), run="")
    assert store.add_all([plain, crash]) == 2
    assert store.get("e1") == plain
    assert store.get("e2") == crash


def test_what_was_stored_is_there_after_the_store_was_closed(database):
    with Store.open(database) as store:
        store.add(an_episode())
    with Store.open(database if "://" in str(database) else f"sqlite:///{database}") as store:
        assert store.get("e1") == an_episode()


def test_a_stored_episode_is_never_overwritten(store):
    assert store.add(an_episode()) == 1
    assert store.add(an_episode(ending=Ending.FAILED)) == 0
    assert store.get("e1").ending is Ending.SOLVED
    assert store.rows()[0].ending is Ending.SOLVED


def test_adding_many_counts_only_the_new_ones_across_batches(store):
    store.add_all([an_episode("e0000"), an_episode("e0300")])
    several = [an_episode(f"e{number:04d}") for number in range(BATCH + 100)]
    assert store.add_all(iter([*several, *several[:3]])) == BATCH + 98
    assert store.count() == BATCH + 100


def test_an_id_may_be_shortened_to_what_is_unambiguous(store):
    store.add_all([an_episode(id) for id in ("ab", "abc1", "abd2", "b\U0010ffff", "b\U0010ffffz")])
    assert store.get("abc").id == "abc1"
    assert store.get("ab").id == "ab"  # whole, though two others begin so
    assert store.get("b\U0010ffffz").id == "b\U0010ffffz"


def test_an_ambiguous_id_names_some_that_are_meant(store):
    store.add_all(an_episode(f"a{number}") for number in range(6))
    with pytest.raises(UnknownIdError) as caught:
        store.get("a")
    assert str(caught.value) == (
        "several episodes begin with 'a': a0, a1, a2, a3, ...; give more of the id"
    )


@pytest.mark.parametrize("given", ["", "A", "a%", "a_", "a11", "zz"])
def test_an_unknown_id_is_refused_in_one_line(store, given):
    store.add(an_episode("a1"))
    with pytest.raises(UnknownIdError, match="no episode has an id") as caught:
        store.get(given)
    assert repr(given) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_tells_what_the_episode_holds(store):
    store.add(an_episode())
    (row,) = store.rows()
    assert row == row_of(an_episode())
    assert (row.task_id, row.goal, row.steps) == ("household/42", "cool a mug", 2)
    assert (row.reward, row.prompt_tokens, row.completion_tokens) == (1.0, 127, 3)
    assert (row.split, row.ending) == (Split.TRAIN, Ending.SOLVED)
    assert type(row.split) is Split


def test_times_are_kept_in_utc_and_to_the_microsecond(store, database):
    tokyo = datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=9)))
    store.add(an_episode(started=tokyo))
    assert store.rows()[0].started.isoformat() == "2026-11-23T16:02:03.456789+00:00"
    assert store.get("e1").started == tokyo
    told = "2026-11-23 16:02:03.456789"
    edit(database, "UPDATE episode SET kind = 'found' WHERE started = :told", told=told)


def test_the_newest_come_first_and_pages_meet_without_overlap(store):
    # Ten minutes, three episodes begun in each: pages must split a minute cleanly.
    store.add_all(an_episode(f"e{n:02d}", minute=n * 7 % 10) for n in range(30))
    paged = []
    before = None
    while page := store.rows(limit=4, before=before):
        paged += page
        before = page[-1].id
    assert len(paged) == 30
    assert paged == sorted(paged, key=lambda row: (row.started, row.id), reverse=True)


@pytest.mark.postgresql(slow=True)
def test_every_combination_of_filters_agrees_with_looking_at_each_episode(store):
    # Enough of each column that every pair of values occurs together.
    offers = {
        "environment": ("household", "code"),
        "split": tuple(Split),
        "kind": ("cool", "heat"),
        "ending": (Ending.SOLVED, Ending.FAILED),
        "policy": ("scripted", "random"),
        "run": ("r1", ""),
    }
    episodes = [
        an_episode(
            f"e{number:03d}",
            minute=number,
            task=replace(TASK, environment=environment, split=split, kind=kind),
            ending=ending,
            policy=policy,
            run=run,
        )
        for number, (environment, split, kind, ending, policy, run) in enumerate(
            itertools.product(*offers.values())
        )
    ]
    store.add_all(episodes)
    for wanted in itertools.product(*((None, *values[:2]) for values in offers.values())):
        filters = dict(zip(offers, wanted, strict=True))
        expected = [
            row
            for row in map(row_of, reversed(episodes))
            if all(value in (None, getattr(row, name)) for name, value in filters.items())
        ]
        assert store.rows(limit=200, **filters) == expected
        assert store.count(**filters) == len(expected)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ("environment run", "run"),
        ("ending kind policy run split", "run"),
        ("ending environment policy", "ending"),
        ("environment kind policy split", "kind"),
        ("environment split", "split"),
        ("", "age"),
    ],
)
def test_sqlite_looks_filters_up_by_the_one_that_leaves_fewest(tmp_path, filters, index):
    path = tmp_path / "store.db"
    Store.open(path).close()
    where = " AND ".join(f"{name} = 'x'" for name in filters.split()) or "true"
    plan = sqlite3.connect(path).execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM episode WHERE {where} ORDER BY started DESC, id DESC"
    )
    ((*_, how),) = plan.fetchall()  # one step: no sorting after the search
    assert f"USING INDEX episode_by_{index}" in how


def test_whole_episodes_stream_newest_first_while_others_are_stored(store):
    many = [an_episode(f"e{n:04d}", minute=n) for n in range(BATCH + 50)]
    store.add_all([*many, an_episode("other", run="r2")])
    stream = store.episodes(run="r1")
    met = [next(stream)]
    store.add(an_episode("late", minute=9999))
    met += stream
    assert met == many[::-1]


def test_the_ids_of_a_run_are_those_of_that_run_only(store):
    store.add_all([an_episode("a"), an_episode("b"), an_episode("c", run="r11")])
    assert store.episode_ids("r1") == {"a", "b"}
    assert store.episode_ids("r") == set()


def test_a_run_is_resumed_until_it_is_finished(store):
    old, new = a_run("old"), a_run("new", minute=1)
    assert store.latest_unfinished_run() is None
    store.begin_run(new)
    store.begin_run(old)
    assert store.runs() == [new, old]
    assert store.runs(limit=1) == [new]
    assert store.latest_unfinished_run() == new
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    store.finish_run("new", noon)
    store.finish_run("new", noon + timedelta(hours=1))  # done already: nothing changes
    assert store.run("ne") == replace(new, finished=noon)
    assert store.latest_unfinished_run() == old


def test_an_unknown_run_is_refused_in_one_line(store):
    store.begin_run(a_run())
    with pytest.raises(UnknownIdError, match="no run has an id that begins with 'x'"):
        store.run("x")
    with pytest.raises(UnknownIdError, match="'x'"):
        store.finish_run("x", MORNING)


def test_an_episode_that_an_older_version_packed_is_read(store, database):
    store.add(an_episode("old"))
    older = zlib.compress(episode_to_json(an_episode("old")), 4)
    edit(database, "UPDATE episode_body SET packed = :packed WHERE episode = 'old'", packed=older)
    assert store.get("old") == an_episode("old")
    assert store.integrity() == ()


def test_a_packed_episode_in_which_one_bit_was_turned_is_not_read():
    packed = packing()(an_episode("e1"))
    for place in range(len(packed)):
        turned = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        with pytest.raises(ValueError):  # noqa: PT011 - zstandard's words, or pydantic's
            unpack(turned)


def test_integrity_finds_nothing_in_a_healthy_store(store):
    store.add_all(an_episode(f"e{number}", minute=number) for number in range(5))
    assert store.integrity() == ()
    assert store.integrity(newest=2) == ()


@pytest.mark.parametrize(
    ("statement", "values", "fault"),
    [
        ("UPDATE episode_body SET packed = :packed", {"packed": b"\0"}, "is damaged"),
        (
            "UPDATE episode_body SET packed = :packed",
            {"packed": zlib.compress(b'{"id": "e3"}')},
            "is damaged",
        ),
        (
            "UPDATE episode_body SET packed = :packed",
            {"packed": packing()(an_episode("e3", minute=3))[:-9]},
            "is damaged",
        ),
        ("DELETE FROM episode_body", {}, "is damaged"),
        ("UPDATE episode SET steps = 9", {}, "differs from the episode"),
    ],
)
def test_integrity_names_the_episode_that_was_tampered_with(
    store, database, statement, values, fault
):
    store.add_all(an_episode(f"e{number}", minute=number) for number in range(5))
    column = "episode" if "episode_body" in statement else "id"
    edit(database, f"{statement} WHERE {column} = 'e3'", **values)
    (found,) = store.integrity()
    assert "'e3'" in found
    assert fault in found
    assert store.integrity(newest=1) == ()  # only the newest body, e4's, is read here


def test_a_broken_reference_is_found_without_reading_a_body(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.add_all(an_episode(f"e{number}", minute=number) for number in range(5))
        with sqlite3.connect(path) as other:  # PostgreSQL would not let us
            other.execute("UPDATE episode SET id = 'lost' WHERE id = 'e3'")
        other.close()
        assert "points to no episode" in store.integrity()[0]
        assert len(store.integrity(newest=1)) == 1


def test_a_damaged_episode_is_reported_in_one_line(store, database):
    store.add(an_episode())
    edit(database, "UPDATE episode_body SET packed = :packed", packed=b"garbage")
    with pytest.raises(StoreError, match="episode 'e1' is damaged") as caught:
        store.get("e1")
    assert "\n" not in str(caught.value)


def test_integrity_reports_a_file_with_torn_pages(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.add_all(an_episode(f"e{number}") for number in range(200))
    torn = bytearray(path.read_bytes())
    lost = len(torn) // 4  # the last quarter: the schema, at the beginning, can still be read
    torn[-lost:] = b"\xff" * lost
    path.write_bytes(torn)
    with Store.open(path) as store:
        assert store.integrity() != ()


@pytest.mark.postgresql(slow=True)
def test_listing_loads_neither_pydantic_nor_alembic(database):
    with Store.open(database) as store:
        store.add(an_episode())
    listing = (
        "import sys; from memory.store.store import Store\n"
        f"with Store.open({str(database)!r}) as store: print([row.id for row in store.rows()])\n"
        "print(sorted({'alembic', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True)
    assert done.stdout == "['e1']\n[]\n", done.stderr
