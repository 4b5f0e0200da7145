import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bank_builders import a_critique, a_demonstration, a_lesson, a_recall, a_skill, a_source
from environments.anchor import Anchor
from environments.episode import Ending, Split, Task
from memory.bank.bank import Bank
from memory.bank.changes import IllegalMoveError, StaleError
from memory.knowledge.admission import Decision, Outcome, RefusedError
from memory.knowledge.items import (
    Demonstration,
    HeldOutError,
    Lesson,
    Skill,
    Source,
    Standing,
    text_of,
)
from memory.knowledge.journal import Deed
from memory.proof.credit import Tag
from memory.store import fulltext
from memory.store.errors import UnknownIdError
from memory.store.store import Store
from store_worker import MORNING, an_episode

EPISODES = [f"e{number}" for number in range(1, 7)]


pytestmark = pytest.mark.postgresql(slow=True)
everywhere = pytest.mark.postgresql(slow=False)
"""For tests whose statements no other test makes."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make one database with episodes; migrating anew for each test takes far longer."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    with Store.open(path) as store:
        store.add_all(an_episode(id) for id in EPISODES)
    return path


@pytest.fixture
def path(template, database):
    if isinstance(database, Path):
        return Path(shutil.copy(template, database))
    with Store.open(database) as store:
        store.add_all(an_episode(id) for id in EPISODES)
    return database


@pytest.fixture
def bank(path):
    with Bank.open(path) as opened:
        yield opened


@pytest.mark.parametrize("make", [a_lesson, a_demonstration, a_skill])
def test_an_item_comes_back_as_it_was_with_an_id(bank, make):
    added = bank.add(make("e1", "e2"))
    assert added == make("e1", "e2", id=added.id)
    assert bank.get(added.id) == added
    assert bank.items() == [added]


def test_a_new_item_is_a_candidate_whatever_it_claims(bank):
    added = bank.add(a_lesson(standing=Standing.ACTIVE, version=7))
    assert (added.standing, added.version) == (Standing.CANDIDATE, 1)


@everywhere
def test_ids_are_never_reused_however_often_the_bank_is_closed_and_grows(path):
    seen = []
    for _ in range(4):
        with Bank.open(path) as bank:
            seen += [item.id for item in bank.add_all([a_lesson(), a_skill(), a_demonstration()])]
    assert len(set(seen)) == 12
    assert [int(id[1:]) for id in seen] == sorted(int(id[1:]) for id in seen)
    with Bank.open(path) as bank:
        bank.forget("e1", "asked to", MORNING)
        assert bank.count() == 0
        assert bank.add(a_lesson("e2")).id not in seen


def test_an_item_with_an_id_of_its_own_is_refused(bank):
    with pytest.raises(RefusedError, match="without an id, not with 'L7'"):
        bank.add(a_lesson(id="L7"))


@everywhere
def test_a_revision_is_a_new_version_and_the_old_one_stays_readable(bank):
    first = bank.add(a_lesson())
    second = bank.revise(replace(first, instead="open it"), by="ann", why="shorter")
    assert (second.version, second.instead) == (2, "open it")
    assert bank.get(first.id) == second
    assert bank.get(first.id, 1) == first
    assert bank.versions(first.id) == [first, second]
    assert [(e.deed, e.by, e.why) for e in bank.history(first.id)] == [
        (Deed.ADDED, "apprentice", ""),
        (Deed.REVISED, "ann", "shorter"),
    ]
    with pytest.raises(UnknownIdError, match="no version 3"):
        bank.get(first.id, 3)


def test_two_who_revise_the_same_version_do_not_overwrite_each_other(bank):
    first = bank.add(a_lesson())
    bank.revise(replace(first, instead="open it"))
    with pytest.raises(StaleError, match="version 1 of L1 is not its current one, 2"):
        bank.revise(replace(first, instead="ask someone"))
    assert bank.get(first.id).instead == "open it"


def test_new_words_must_prove_themselves_again_and_new_sources_need_not(bank):
    lesson = bank.add(a_lesson())
    active = bank.set_standing(lesson.id, Standing.ACTIVE, "won 9 of 10", MORNING)
    sourced = bank.revise(replace(active, source=a_source("e1", "e2")))
    assert sourced.standing is Standing.ACTIVE
    assert bank.revise(replace(sourced, unless="")).standing is Standing.CANDIDATE
    assert bank.items(standing=Standing.ACTIVE) == []


@pytest.mark.parametrize("start", Standing)
@pytest.mark.parametrize("end", Standing)
def test_an_item_goes_only_where_the_rules_let_it(bank, start, end):
    item = bank.add(a_lesson())
    for step in {Standing.ACTIVE: ["active"], Standing.RETIRED: ["retired"]}.get(start, []):
        item = bank.set_standing(item.id, Standing(step), "to begin", MORNING)
    legal = {
        ("candidate", "active"), ("candidate", "retired"), ("active", "retired"),
        ("retired", "candidate"),
    }  # fmt: skip
    later = MORNING + timedelta(hours=1)
    if (start.value, end.value) in legal:
        assert bank.set_standing(item.id, end, "it harms", later, by="ann").standing is end
        last = bank.history(item.id)[-1]
        assert (last.deed, last.standing, last.why, last.at) == (Deed.MOVED, end, "it harms", later)
    else:
        with pytest.raises(IllegalMoveError, match=f"is {start} and cannot become {end}"):
            bank.set_standing(item.id, end, "it harms", later)
    assert bank.get(item.id).standing is (end if (start.value, end.value) in legal else start)


@pytest.mark.parametrize(("by", "again"), [("apprentice", True), ("proof", True), ("user", False)])
def test_what_failed_comes_back_in_better_words_under_its_id_unless_a_person_ended_it(
    bank, by, again
):
    old = bank.add(a_lesson("e1", unless=""))
    bank.set_standing(old.id, Standing.RETIRED, "it harms", MORNING, by=by)
    better = a_lesson("e2", unless="it stands open")
    found = bank.settle(better, Decision(Outcome.SUPERSEDE, old.id, "says when not to"))
    assert (found.id, found.version) == (old.id, 2)
    assert set(found.source.episodes) == {"e1", "e2"}
    assert found.unless == ("it stands open" if again else "")
    assert found.standing is (Standing.CANDIDATE if again else Standing.RETIRED)


def test_candidates_that_come_to_say_the_same_become_one_with_the_sources_of_all(bank):
    one, two, used = bank.add_all(
        [
            a_lesson("e1", unless=""),
            a_lesson("e2", unless="", when="a mug is hot"),
            a_lesson("e1", when="a pan is hot"),
        ]
    )
    bank.set_standing(used.id, Standing.ACTIVE, "it helps", MORNING)
    better = a_lesson("e3", unless="it stands open")
    decision = Decision(Outcome.SUPERSEDE, one.id, "better", also=(two.id, used.id))
    kept = bank.settle(better, decision)
    assert (kept.id, kept.unless, kept.standing) == (one.id, "it stands open", Standing.CANDIDATE)
    assert set(kept.source.episodes) == {"e1", "e2", "e3"}
    assert bank.get(two.id).standing is Standing.RETIRED
    assert bank.history(two.id)[-1].why == f"says the same as {one.id} now, which has its sources"
    assert bank.get(used.id).standing is Standing.ACTIVE  # it went into use meanwhile
    assert bank.integrity() == ()


def test_items_are_filtered_by_what_they_are(bank):
    lesson, demonstration, skill = bank.add_all([a_lesson(), a_demonstration(), a_skill()])
    other = bank.add(a_lesson(environment="code", kind="sort"))
    bank.set_standing(skill.id, Standing.ACTIVE, "it helps", MORNING)
    assert bank.items(type=Lesson) == [lesson, other]
    assert bank.items(type=Demonstration, environment="household") == [demonstration]
    assert [item.id for item in bank.items(standing=Standing.ACTIVE)] == [skill.id]
    assert [item.id for item in bank.items(kind="")] == [skill.id]
    assert bank.count(environment="household", kind="cool") == 2
    assert bank.items(type=Skill, kind="cool") == []


def test_a_source_that_is_not_stored_or_held_out_or_broken_is_refused(path, bank):
    exam = Task(id="h/9", environment="household", split=Split.DEV, kind="cool", goal="cool")
    with Store.open(path) as store:
        store.add(an_episode("exam", task=exam))
        store.add(an_episode("crash", ending=Ending.BROKEN, error="Traceback"))
    with pytest.raises(UnknownIdError, match="source episode 'e99' is not stored"):
        bank.add(a_lesson("e1", "e99"))
    with pytest.raises(HeldOutError, match="exam"):
        Source.of(an_episode("exam", task=exam), anchor=Anchor.ENVIRONMENT, made=MORNING)
    lie = replace(a_source(), episodes=("e1", "exam"))
    with pytest.raises(HeldOutError, match="source episode 'exam' is of a dev task"):
        bank.add(a_lesson(source=lie))
    with pytest.raises(HeldOutError, match="exam"):
        bank.revise(replace(bank.add(a_lesson()), source=lie))
    with pytest.raises(RefusedError, match="'crash' is broken"):
        bank.add(a_lesson("crash"))
    assert bank.count() == 1


@everywhere
def test_what_an_item_is_made_of_must_be_stored_and_share_its_source(bank):
    critique = bank.criticize(a_critique("e1"))
    assert bank.add(a_lesson("e1", critique=critique.id)).critique == critique.id
    with pytest.raises(UnknownIdError, match="'C99', which it is made of, is not stored"):
        bank.add(a_lesson("e1", critique="C99"))
    with pytest.raises(RefusedError, match=f"names no episode of {critique.id}"):
        bank.add(a_lesson("e2", critique=critique.id))
    with pytest.raises(UnknownIdError, match="'D99'"):
        bank.add(a_skill("e1", demonstrations=("D99",)))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (a_lesson(instead=" "), "without instead"),
        (a_lesson(when="\ud800"), "half a surrogate pair"),
        (a_lesson(why="x" * 200_001), "shorten it"),
        (a_lesson(source=replace(a_source(), episodes=())), "no source episode"),
        (a_lesson(source=replace(a_source(), made=MORNING.replace(tzinfo=None))), "time zone"),
        (a_demonstration(moves=()), "shows nothing"),
        (a_skill(name="Cool--it"), "skill name 'Cool--it' is not"),
        (a_skill(name="x" * 65), "is not 1 to 64"),
        (a_skill(parameters=("object", "fridge", "knife")), "does not use: ['knife']"),
        (a_skill(procedure=()), "lacks a purpose or a procedure"),
    ],
)
def test_what_can_teach_nothing_is_refused_in_one_line(bank, item, said):
    with pytest.raises(RefusedError) as caught:
        bank.add(item)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert bank.count() == 0


@everywhere
def test_hostile_words_survive(bank):
    words = "---\n```\x00\x1b[31m\u2028' OR 1=1; --\N{PILE OF POO}" + "long " * 20_000
    added = bank.add(a_lesson(when=words, fault=words[:99]))
    assert bank.get(added.id).when == words
    assert bank.integrity() == ()
    assert [id for id, _ in bank.search_text(words, 5)] == [added.id]


def test_one_bad_item_keeps_all_of_its_batch_out(bank):
    with pytest.raises(RefusedError):
        bank.add_all([a_lesson(), a_lesson(instead="")])
    assert bank.count() == 0
    assert bank.add_all([]) == []


def test_critiques_are_kept_by_episode(bank):
    first, second = bank.criticize(a_critique("e1")), bank.criticize(a_critique("e1", score=0))
    bank.criticize(a_critique("e2"))
    assert bank.critiques("e1") == [first, second]
    assert bank.critique(first.id) == first == a_critique("e1", id=first.id)
    with pytest.raises(RefusedError, match="scores -1, 0 or 1, not 3"):
        bank.criticize(a_critique(score=3))
    with pytest.raises(UnknownIdError):
        bank.critique("C99")


def test_a_critique_is_stored_with_its_lesson_or_not_at_all(bank):
    gone = Decision(Outcome.MERGE, "L99", "like L99, which was forgotten meanwhile")
    with pytest.raises(UnknownIdError, match="L99"):
        bank.learn(a_critique("e1"), (a_lesson("e1"), gone))
    assert not bank.critiques("e1")
    kept = Decision(Outcome.KEEP, "", "nothing says the same")
    critique, lesson = bank.learn(a_critique("e1"), (a_lesson("e1"), kept))
    assert bank.critiques("e1") == [critique]
    assert bank.items() == [lesson]
    assert lesson.critique == critique.id


@everywhere
def test_uses_are_those_of_train_episodes_that_ended(path, bank):
    exam = Task(id="h/9", environment="household", split=Split.DEV, kind="cool", goal="cool")
    with Store.open(path) as store:
        store.add(an_episode("lost", ending=Ending.FAILED))
        store.add(an_episode("exam", task=exam))
        store.add(an_episode("crash", ending=Ending.BROKEN, error="Traceback"))
    item, other = bank.add_all([a_lesson(), a_lesson()])
    for minute, episode in enumerate(["e1", "lost", "exam", "crash", "unfinished"]):
        at = MORNING + timedelta(minutes=minute)
        shown = episode != "lost"
        bank.log_uses([a_recall(item, episode, at=at, shown=shown), a_recall(other, episode)])
    bank.learn(a_critique("e1"), tags={item.id: Tag.HELPFUL})
    uses = bank.uses(item.id)
    assert [(u.episode, u.kind, u.shown, u.solved, u.tag) for u in uses] == [
        ("e1", "cool", True, True, Tag.HELPFUL),
        ("lost", "cool", False, False, None),
    ]
    assert {use.propensity for use in uses} == {0.9}
    assert [use.item for use in bank.recalled("unfinished")] == [item.id, other.id]


@everywhere
def test_a_resumed_episode_does_not_count_its_recalls_twice(bank):
    item = bank.add(a_lesson())
    bank.log_uses([a_recall(item)])
    bank.log_uses([a_recall(item, shown=False)])
    assert [use.shown for use in bank.uses(item.id)] == [True]
    bank.log_uses([])
    with pytest.raises(ValueError, match="recalls of 2 episodes"):
        bank.log_uses([a_recall(item, "e1"), a_recall(item, "e2")])


@everywhere
def test_vectors_come_back_in_the_order_of_their_items(bank):
    items = bank.add_all([a_lesson(), a_skill(), a_demonstration()])
    keys = [(item.id, item.version) for item in items]
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert bank.missing_vectors("mini") == items
    bank.put_vectors("mini", dict(zip(reversed(keys), reversed(rows), strict=True)))
    found, matrix = bank.vectors("mini")
    assert found == keys
    assert matrix.dtype == np.float32
    assert matrix.tolist() == rows.tolist()
    assert bank.missing_vectors("mini") == []
    assert bank.missing_vectors("other") == items
    assert bank.vectors("mini", type=Skill)[0] == [keys[1]]
    assert bank.vectors("other")[1].shape == (0, 0)


@everywhere
def test_a_revision_needs_a_vector_only_if_its_words_are_new(bank):
    lesson = bank.add(a_lesson())
    bank.put_vectors("mini", {(lesson.id, 1): np.ones(2, np.float32)})
    sourced = bank.revise(replace(lesson, source=a_source("e1", "e2")))
    assert bank.vectors("mini")[0] == [(lesson.id, 2)]
    reworded = bank.revise(replace(sourced, instead="open it"))
    assert bank.missing_vectors("mini") == [reworded]
    bank.put_vectors("mini", {(lesson.id, 2): np.ones(2, np.float32)})
    assert bank.vectors("mini")[0] == [], "the vector of an overtaken version is passed over"


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, 2.0, 3.0]], "has 3 numbers, those stored 2"),
        ([[1.0, float("nan")]], "is not finite"),
        ([[[1.0, 2.0]]], r"shape \(1, 2\)"),
        ([[1.0, 2.0], [1.0]], "has 1 numbers"),
    ],
)
def test_vectors_that_would_spoil_a_search_are_refused(bank, vectors, said):
    items = bank.add_all([a_lesson(), a_lesson(), a_lesson()])
    bank.put_vectors("mini", {(items[0].id, 1): np.ones(2, np.float32)})
    wrong = {
        (item.id, 1): np.array(vector, np.float32)
        for item, vector in zip(items[1:], vectors, strict=False)
    }
    with pytest.raises(ValueError, match=said):
        bank.put_vectors("mini", wrong)
    assert len(bank.vectors("mini")[0]) == 1


@everywhere
def test_items_are_found_by_their_words_the_best_first(bank):
    cool, lamp = bank.add_all(
        [a_lesson(), a_lesson(when="a thing has to be looked at", fault="it is dark",
                              instead="turn on the desklamp")]
    )  # fmt: skip
    both = bank.search_text("Look at the vase under the desklamp", 5)
    assert [id for id, _ in both] == [lamp.id, cool.id]
    assert both[0][1] > both[1][1] > 0
    assert bank.search_text("desklamps turned", 5)[0][0] == lamp.id, "word stems count"
    assert [id for id, _ in bank.search_text("fridge OR desklamp", 1)] != []
    assert bank.search_text("", 5) == bank.search_text('"* NEAR( -', 5) == []
    assert bank.search_text("desklamp", 5, kind="other") == []
    bank.revise(replace(lamp, instead="switch on the light"))
    assert bank.search_text("desklamp", 5) == []


@everywhere
def test_words_that_nearly_all_items_hold_cost_no_time_and_find_nothing(bank, monkeypatch):
    monkeypatch.setattr(fulltext, "RANKED", 10)
    common = bank.add_all([a_lesson(when=f"fetch thing{n}") for n in range(20)])
    rare = bank.add(a_lesson(when="fetch the chisel"))
    assert [id for id, _ in bank.search_text("fetch the chisel", 50)] == [rare.id]
    assert bank.search_text("fetch", 50) == []
    assert [id for id, _ in bank.search_text("fetch thing7 fridge", 50)] == [common[7].id]
    bank.add_all([a_lesson(when=f"bring thing{n}") for n in range(20)])
    both = bank.add(a_lesson(when="fetch or bring"))
    assert [id for id, _ in bank.search_text("fetch bring", 50)] == [both.id]


def test_what_an_item_is_found_by_is_what_it_says_of_its_use():
    assert text_of(a_demonstration()) == "cool a mug\na kitchen with a fridge, mugs in cabinets"
    assert text_of(a_lesson(fault="")) == "a thing has to be cooled\nopen the fridge first"
    assert text_of(a_skill()).startswith("cool-a-thing\nCools a thing.")
