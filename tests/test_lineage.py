import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bank_builders import a_critique, a_demonstration, a_lesson, a_skill, a_source
from memory.bank.bank import Bank
from memory.bank.lineage import why
from memory.knowledge.admission import Decision, Outcome
from memory.knowledge.items import Citation, Lesson, Move, Recalled, Skill, Standing
from memory.knowledge.journal import Deed
from memory.store.errors import UnknownIdError
from memory.store.store import Store
from store_worker import MORNING, STEP, an_episode

LATER = MORNING + timedelta(days=1)
EPISODES = [f"e{number}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "store.db"
    with Store.open(path) as store:
        store.add_all(an_episode(id, policy=f"policy-{id}") for id in EPISODES)
    return path


@pytest.fixture
def path(template, tmp_path):
    return Path(shutil.copy(template, tmp_path))


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def bank(path):
    with Bank.open(path) as opened:
        yield opened


def dangling(path, store, bank):
    """Return all that names something which is not there."""
    episodes = {row.id for row in store.rows(limit=1000)}
    items = {item.id: item for item in bank.items()}
    critiques = {c.id: c for id in EPISODES for c in bank.critiques(id)}
    named = [
        *((item.id, id) for item in items.values() for id in item.source.episodes),
        *((c.id, id) for c in critiques.values() for id in (*c.source.episodes, c.episode)),
    ]
    found = [pair for pair in named if pair[1] not in episodes]
    for item in items.values():
        match item:
            case Lesson(critique=critique) if critique and critique not in critiques:
                found.append((item.id, critique))
            case Skill(demonstrations=demonstrations):
                found += [(item.id, id) for id in demonstrations if id not in items]
            case _:
                pass
    with sqlite3.connect(path) as connection:
        for table in ("recall", "vector"):
            rows = connection.execute(f"SELECT item FROM {table}")
            found += [(table, id) for (id,) in rows if id not in items]
        words = connection.execute("SELECT count(*) FROM item_words").fetchone()[0]
    connection.close()
    return found + ([("item_words", words)] if words != len(items) else [])


def everything(path):
    """Return all bytes of the database that belong to a row."""
    with sqlite3.connect(path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    return dump


def test_why_walks_from_a_lesson_to_the_step_that_was_observed(store, bank):
    critique = bank.criticize(a_critique("e1", "e2"))
    lesson = bank.add(a_lesson("e1", "e2", critique=critique.id), by="critic-1")
    bank.set_standing(lesson.id, Standing.ACTIVE, "won 9 of 10", LATER, by="ann")
    assert str(why(bank, store, lesson.id)).splitlines() == [
        "L2 lesson v1, active, of household/cool: a thing has to be cooled the fridge is still "
        "closed open the fridge first",
        "├─ 2026-11-23T09:30+00:00 added by critic-1, v1, candidate",
        "├─ 2026-11-24T09:30+00:00 moved by ann, v1, active: won 9 of 10",
        "├─ C1 critique by critic-1: -1 (votes -1 -1 +0) Open the fridge before you cool.",
        '│  ├─ step 0 of e1: "The fridge 1 is closed."',
        "│  │  └─ step 0: open fridge 1 <- You arrive at fridge 1. The fridge 1 is closed.",
        "│  ├─ episode e1: cool a mug (household/42) solved after 2 steps by policy-e1",
        "│  └─ episode e2: cool a mug (household/42) solved after 2 steps by policy-e2",
        "├─ episode e1: cool a mug (household/42) solved after 2 steps by policy-e1",
        "└─ episode e2: cool a mug (household/42) solved after 2 steps by policy-e2",
    ]


def test_why_tells_of_a_row_of_mergers_in_one_line(store, bank):
    lesson = bank.add(a_lesson("e1"))
    for number in range(2, 5):
        again = a_lesson("e1", *(f"e{each}" for each in range(2, number + 1)))
        bank.settle(again, Decision(Outcome.MERGE, lesson.id, "like it"))
    told = str(why(bank, store, lesson.id)).splitlines()
    (mergers,) = [line for line in told if "merged" in line]
    assert "3 times since" in mergers
    assert "v4, candidate: like it" in mergers


def test_why_shows_the_steps_that_a_demonstration_was_pruned_to(store, bank):
    actions = ["look", "open fridge 1", "look", "cool mug 2 with fridge 1"]
    store.add(an_episode("e9", steps=tuple(replace(STEP, action=action) for action in actions)))
    demonstration = bank.add(a_demonstration("e9", "e1"))
    skill = bank.add(a_skill("e9", demonstrations=(demonstration.id,)))
    tree = why(bank, store, skill.id)
    assert tree.grounds[1].line.startswith(f"{demonstration.id} demonstration v1, candidate")
    first, second = tree.grounds[1].grounds[1:]
    assert [step.line.split(" <- ")[0] for step in first.grounds] == [
        "step 1: open fridge 1",
        "step 3: cool mug 2 with fridge 1",
    ]
    assert second.grounds == ()


def test_why_keeps_a_line_a_line_whatever_was_observed(store, bank):
    store.add(an_episode("e9", closing="gone\n\x1b[2J" + "x" * 10_000))
    said = Citation(step=2, quote="gone\n\x1b[2J" + "x" * 10_000)
    critique = bank.criticize(a_critique("e9", citations=(said,)))
    shown = str(why(bank, store, critique.id))
    assert len(shown.splitlines()) == 3
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 163
    assert 'at the end of e9: "gone' in shown


def test_why_of_what_is_not_there_says_so(store, bank):
    for id in ("L99", "C99", "", "e1"):
        with pytest.raises(UnknownIdError):
            why(bank, store, id)


def test_derived_lists_all_that_came_from_an_episode(bank):
    critique = bank.criticize(a_critique("e1"))
    lesson, other = bank.add_all([a_lesson("e1", "e2", critique=critique.id), a_lesson("e3")])
    assert bank.derived("e1") == [critique, lesson]
    assert bank.derived("e2") == [lesson]
    assert bank.derived("e3") == [other]
    assert bank.derived("e4") == []


def test_forgetting_removes_what_rests_on_nothing_else(path, store, bank):
    secret = "the code is 7391"
    store.add(an_episode("e9", closing=secret))
    critique = bank.criticize(a_critique("e9", hint=secret))
    lesson = bank.add(a_lesson("e9", why=secret, critique=critique.id))
    bank.revise(replace(lesson, fault=secret))
    bank.log_uses(
        [Recalled(item=lesson.id, version=1, episode="e2", shown=True, propensity=1.0, at=MORNING)]
    )
    assert secret in everything(path)
    planned = bank.would_forget("e9")
    assert bank.get(lesson.id).version == 2, "asking changes nothing"
    assert bank.forget("e9", "the owner asked", LATER, by="ann") == planned
    assert planned.removed == (critique.id, lesson.id)
    assert planned.items == planned.critiques == ()
    assert secret not in everything(path)
    assert dangling(path, store, bank) == []
    assert bank.count() == 0
    for id in ("e9", lesson.id):
        with pytest.raises(UnknownIdError):
            store.get("e9") if id == "e9" else bank.get(id)
    last = bank.history(lesson.id)[-1]
    assert (last.deed, last.by, last.why, last.at) == (
        Deed.REMOVED, "ann", "the owner asked", LATER,
    )  # fmt: skip
    assert [entry.deed for entry in bank.history("e9")] == [Deed.FORGOTTEN]
    with pytest.raises(UnknownIdError, match="no episode has the id 'e9'"):
        bank.forget("e9", "again", LATER)


def test_forgetting_keeps_what_others_taught_too_without_the_episode(path, store, bank):
    critique = bank.criticize(a_critique("e1"))
    lesson = bank.add(a_lesson("e1", "e2", critique=critique.id))
    lesson = bank.set_standing(lesson.id, Standing.ACTIVE, "it helps", MORNING)
    gone = bank.forget("e1", "asked to", LATER)
    kept = bank.get(lesson.id)
    assert (gone.removed, gone.items[0].id) == ((critique.id,), lesson.id)
    assert (kept.source.episodes, kept.critique, kept.version) == (("e2",), "", 2)
    assert kept.source.policy == "policy-e2"
    assert kept.standing is Standing.ACTIVE
    assert dangling(path, store, bank) == []
    with pytest.raises(UnknownIdError):
        bank.get(lesson.id, 1)


def test_a_contrasting_critique_survives_the_sibling_and_not_its_own_episode(bank):
    critique = bank.criticize(a_critique("e1", "e2"))
    bank.forget("e2", "asked to", LATER)
    assert bank.critique(critique.id).source.episodes == ("e1",)
    bank.forget("e1", "asked to", LATER)
    assert bank.critiques("e1") == []


def test_a_demonstration_goes_with_the_episode_its_moves_are_from(path, store, bank):
    first, other = bank.add_all([a_demonstration("e1", "e2"), a_demonstration("e3")])
    skill = bank.add(a_skill("e1", "e3", demonstrations=(first.id, other.id)))
    bank.forget("e2", "asked to", LATER)
    assert bank.get(first.id).source.episodes == ("e1",)
    bank.forget("e1", "asked to", LATER)
    assert [item.id for item in bank.items()] == [other.id, skill.id]
    assert bank.get(skill.id).demonstrations == (other.id,)
    assert dangling(path, store, bank) == []


def test_a_skill_lets_go_of_a_demonstration_that_came_to_rest_on_another_episode(path, store, bank):
    old = bank.add(a_demonstration("e1"))
    skill = bank.add(a_skill("e1", demonstrations=(old.id,)))
    better = a_demonstration("e2", moves=(Move(observation="", action="cool mug 1"),))
    bank.settle(better, Decision(Outcome.SUPERSEDE, old.id, "shorter"))
    assert bank.get(old.id).source.episodes == ("e2", "e1")
    bank.forget("e2", "asked to", LATER)
    assert bank.get(skill.id).demonstrations == ()
    assert dangling(path, store, bank) == []


ORIGINS = st.lists(st.sampled_from(EPISODES), min_size=1, max_size=3, unique=True)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(origins=st.lists(ORIGINS, min_size=1, max_size=6), forgotten=st.permutations(EPISODES))
def test_nothing_dangles_in_whatever_order_episodes_are_forgotten(
    template, tmp_path, origins, forgotten
):
    for leftover in tmp_path.glob("store.db-*"):
        leftover.unlink()
    path = Path(shutil.copy(template, tmp_path))
    with Store.open(path) as store, Bank.open(path) as bank:
        for source in (a_source(*each) for each in origins):
            critique = bank.criticize(a_critique(source.episodes[0], source=source))
            bank.add(a_lesson(source=source, critique=critique.id))
            demonstration = bank.add(a_demonstration(source=source))
            bank.add(a_skill(source=source, demonstrations=(demonstration.id,)))
        for id in forgotten:
            before = {item.id: set(item.source.episodes) for item in bank.items()}
            gone = bank.forget(id, "asked to", LATER)
            assert dangling(path, store, bank) == []
            assert {i for i, names in before.items() if names == {id}} <= set(gone.removed)
            assert store.integrity() == bank.integrity() == ()
        assert bank.count() == store.count() == 0
        assert all(e.content is None for n in range(99) for e in bank.history(f"L{n}"))
