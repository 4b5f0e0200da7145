"""A store moved to another database is the same there, however often the move was cut off."""

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from sqlalchemy import select

from apprentice.commands.store import NoStoreError
from apprentice.commands.store import copy as command
from bank_builders import a_critique, a_demonstration, a_lesson, a_recall, a_skill
from command import apprentice, one_line
from environments.episode import Split
from memory.bank.annotations import Annotation, Annotations
from memory.bank.bank import Bank
from memory.bank.pages import Pages
from memory.knowledge.items import Standing
from memory.proof.credit import Tag
from memory.proof.proof import Outcome, Pair
from memory.proof.rounds import Round, Rounds
from memory.proof.trials import Result, Trials
from memory.store.copying import COMPARED, CopyError, copy
from memory.store.database import connect
from memory.store.records import Run
from memory.store.store import Store
from store_worker import MORNING, an_episode

MANY = 300
"""Episodes: more than one page of them."""


def lived(where, many=MANY):
    """Make a store with something of every kind."""
    episodes = [an_episode(f"e{number}", minute=number) for number in range(many)]
    Random(1).shuffle(episodes)
    with Store.open(where) as store:
        store.add_all(episodes)
        for id in ("r1", "r2"):
            store.begin_run(
                Run(id=id, environment="household", split=Split.TRAIN, policy="p", seed=-1,
                    episodes=9, started=MORNING, settings="{}")
            )  # fmt: skip
    with Bank.open(where) as bank:
        learned(bank)
    with Annotations.open(where) as annotations:
        annotations.add(Annotation(episode="e3", score=1, note="good", by="Ada", at=MORNING))
    with Rounds.open(where) as rounds:
        rounds.begin(Round(id="x", number=1, seed=2, settings="{}", started=MORNING))
        rounds.keep("x", "practice", "{}", MORNING)
        rounds.level("adapter", MORNING)
        rounds.decide("adapter", Outcome.PROMOTE, MORNING)


def learned(bank):
    lesson, shown, *more = bank.add_all([a_lesson(), a_demonstration("e2"), a_skill("e4")])
    bank.set_standing(shown.id, Standing.ACTIVE, "it helps", MORNING)
    lesson = bank.revise(replace(lesson, instead="open it"))
    bank.log_uses([a_recall(shown, "e5")])
    bank.learn(a_critique("e5"), tags={shown.id: Tag.HELPFUL})
    every = {(item.id, item.version): np.ones(4, np.float32) for item in (lesson, shown, *more)}
    bank.put_vectors("mini", every)
    with Trials.open(bank._engine.url.render_as_string(hide_password=False)) as trials:
        trials.open_round({lesson.id: 9}, [lesson], MORNING)
        (trial,) = trials.going()
        trials.played(trial, [Pair("task", incumbent=False, candidate=True)])


def told(*_):
    """Listen to nothing."""


def contents(where):
    engine = connect(where, busy_s=1)
    with engine.connect() as connection:
        found = {
            table.name: sorted(connection.execute(select(table)).all(), key=repr)
            for table in COMPARED
        }
    engine.dispose()
    return found


def test_all_of_a_store_is_the_same_in_the_other(tmp_path, database):
    source = tmp_path / "source.db"
    lived(source)
    rows = copy(source, database, told)
    assert all(rows.values()), "the store has something of every kind"
    assert contents(database) == contents(source)
    with Store.open(database) as store, Bank.open(database) as bank, Pages.open(source) as old:
        assert store.integrity() == bank.integrity() == ()
        assert tuple(store.rows(limit=MANY)) == old.episodes(limit=MANY).rows
        assert bank.search_text("fridge", 5) != []
        with Pages.open(database) as pages:
            assert len(pages.episodes(words="mug fridge", limit=MANY).rows) == MANY
    back = tmp_path / "back.db"
    assert copy(database, back, told) == rows
    assert contents(back) == contents(source)


def test_a_store_that_was_lived_in_anywhere_is_the_same_in_a_file(tmp_path, database):
    target = tmp_path / "target.db"
    lived(database, 30)
    copy(database, target, told)
    assert contents(target) == contents(database)
    with Annotations.open(database) as here, Annotations.open(target) as there:
        assert here.of("e3") == there.all() != ()
    with Trials.open(database) as here, Trials.open(target) as there:
        assert here.going() == there.going() != []
        here.end(here.going()[0], Result.PROMOTED, MORNING)
        assert (here.spending().rounds, here.spending().adopted) == (1, 1)


@pytest.mark.postgresql(slow=True)
def test_a_copy_that_is_cut_off_after_any_page_goes_on(tmp_path, database):
    source = tmp_path / "source.db"
    lived(source)
    for last in [("episode", 256), ("journal", 9), ("run", 2), ("vector", 3)]:

        def stop(name, done, _many, last=last):
            if (name, done) == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy(source, database, stop)
    copy(source, database, told)
    assert contents(database) == contents(source)


@pytest.mark.postgresql(slow=True)
def test_a_second_copy_brings_what_is_new_and_forgets_what_was_forgotten(tmp_path, database):
    source = tmp_path / "source.db"
    lived(source, 20)
    copy(source, database, told)
    with Bank.open(source) as bank, Store.open(source) as store, Trials.open(source) as trials:
        bank.forget("e2", "asked to", MORNING)
        bank.add(a_lesson("e7"))
        store.add(an_episode("late", minute=-5))
        store.finish_run("r1", MORNING)
        trials.end(trials.going()[0], Result.REJECTED, MORNING)
    copy(source, database, told)
    assert contents(database) == contents(source)
    with Store.open(database) as store, Bank.open(database) as bank, Pages.open(database) as pages:
        assert store.integrity() == bank.integrity() == ()
        found = {row.id for row in pages.episodes(words="mug fridge", limit=99).rows}
        assert found == {f"e{number}" for number in range(20)} - {"e2"} | {"late"}


def test_a_target_with_memories_of_its_own_is_refused_and_left_alone(tmp_path):
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    lived(source, 9)
    with Store.open(target) as store, Bank.open(target) as bank:
        store.add(an_episode("e1"))
        mine = bank.add(a_skill("e1"))
        with pytest.raises(CopyError, match="memories of its own"):
            copy(source, target, told)
        assert bank.items() == [mine]
        assert store.count() == 1


def test_a_target_that_holds_more_is_told_after_the_copy(tmp_path):
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    lived(source, 9)
    with Store.open(target) as store:
        store.add(an_episode("other"))
    with pytest.raises(CopyError, match="has 10 rows of 'episode' and the source 9: one of the"):
        copy(source, target, told)


def test_the_command_copies_a_home_and_counts_what_is_there(tmp_path):
    lived(tmp_path / "apprentice.sqlite", 9)
    target = f"sqlite:///{tmp_path / 'other.db'}"
    done = apprentice("store", "copy", tmp_path, target, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert (counted["episode"], counted["run"], counted["vector"]) == (9, 2, 3)
    assert "episode: 9 of 9" in done.stderr
    missing = apprentice("store", "copy", tmp_path / "nowhere", target, cwd=tmp_path)
    assert "no store at" in one_line(missing)


def test_a_store_is_not_copied_onto_itself(tmp_path):
    lived(tmp_path / "apprentice.sqlite", 9)
    with pytest.raises(NoStoreError, match="copied onto itself"):
        command(str(tmp_path), str(tmp_path / "apprentice.sqlite"), as_json=True)
