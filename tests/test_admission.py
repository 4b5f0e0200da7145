from dataclasses import replace
from datetime import timedelta

import pytest

from bank_builders import a_demonstration, a_lesson, a_skill, a_source
from environments.anchor import Anchor
from memory.knowledge.admission import (
    DUPLICATE,
    MOST_HEARD,
    Decision,
    Outcome,
    decide,
    merged,
    refusal,
    same_words,
    superseded,
)
from memory.knowledge.items import Move, Standing
from store_worker import MORNING

OLD = "X1"


def outcome(new, old, cosine=0.95):
    return decide(new, [(replace(old, id=OLD), cosine)]).outcome


def test_what_nothing_resembles_is_kept():
    assert decide(a_lesson(), []) == Decision(Outcome.KEEP, "", "nothing says the same")


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [(DUPLICATE - 1e-6, Outcome.KEEP), (DUPLICATE, Outcome.MERGE), (1.0, Outcome.MERGE)],
)
def test_the_threshold_is_inclusive(cosine, expected):
    assert outcome(a_lesson(), a_lesson(), cosine) is expected


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (a_lesson(), a_demonstration()),
        (a_lesson(), a_lesson(environment="code")),
        (a_lesson(), a_lesson(kind="heat")),
        (a_skill(), a_skill(name="other", kind="heat", environment="code")),
    ],
)
def test_only_items_of_one_sort_are_duplicates(new, old):
    assert outcome(new, old, 1.0) is Outcome.KEEP


def test_the_most_similar_of_several_is_taken_whatever_their_order():
    rivals = [(a_lesson(id=f"L{n}"), cosine) for n, cosine in enumerate([0.91, 0.99, 0.95])]
    assert decide(a_lesson(), rivals).other == "L1"
    assert decide(a_lesson(), rivals[::-1]) == decide(a_lesson(), rivals)
    assert decide(a_lesson(), rivals).why == "like L1 (cosine 0.990), and no better"


def test_words_are_not_replaced_where_another_says_them_as_well():
    worse, as_good = a_lesson(id="L1", unless=""), a_lesson(id="L2")
    found = decide(a_lesson(), [(worse, 0.99), (as_good, 0.91)])
    assert (found.outcome, found.other, found.also) == (Outcome.MERGE, "L2", ())
    in_use = replace(worse, id="L3", standing=Standing.ACTIVE)
    found = decide(a_lesson(), [(as_good, 0.99), (in_use, 0.91)])
    assert (found.outcome, found.other, found.also) == (Outcome.MERGE, "L3", ())


def test_better_words_replace_those_of_all_candidates_that_say_the_same():
    rivals = [
        (a_lesson(id=f"L{n}", unless="", standing=standing), cosine)
        for n, (standing, cosine) in enumerate(
            [
                (Standing.CANDIDATE, 0.91),
                (Standing.CANDIDATE, 0.97),
                (Standing.RETIRED, 0.95),
                (Standing.CANDIDATE, DUPLICATE - 1e-6),
            ]
        )
    ]
    found = decide(a_lesson(), rivals)
    assert (found.outcome, found.other, found.also) == (Outcome.SUPERSEDE, "L1", ("L0",))


ONE = (Move(observation="", action="cool mug 1 with fridge 1"),)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (a_lesson(), a_lesson(unless=""), Outcome.SUPERSEDE),
        (a_lesson(unless=""), a_lesson(), Outcome.MERGE),
        (a_lesson(kind=""), a_lesson(), Outcome.SUPERSEDE),
        (a_lesson(), a_lesson(kind="", unless=""), Outcome.MERGE),
        (a_lesson(unless=""), a_lesson(source=a_source(anchor=Anchor.SELF)), Outcome.SUPERSEDE),
        (a_lesson(source=a_source(anchor=Anchor.SELF)), a_lesson(unless=""), Outcome.MERGE),
        (a_demonstration(), a_demonstration(replayed=False, moves=ONE), Outcome.SUPERSEDE),
        (a_demonstration(replayed=False, moves=ONE), a_demonstration(), Outcome.MERGE),
        (a_demonstration(moves=ONE), a_demonstration(), Outcome.SUPERSEDE),
        (a_demonstration(), a_demonstration(moves=ONE), Outcome.MERGE),
        (a_skill(demonstrations=("D1", "D2")), a_skill(demonstrations=("D3",)), Outcome.SUPERSEDE),
        (a_skill(demonstrations=("D1",)), a_skill(demonstrations=("D3",)), Outcome.MERGE),
    ],
)
def test_the_better_one_keeps_its_words(new, old, expected):
    assert outcome(new, old) is expected


def test_what_is_in_use_keeps_its_words_however_good_the_new_ones_look():
    old = a_lesson(unless="", standing=Standing.ACTIVE)
    assert outcome(a_lesson(), old) is Outcome.MERGE


def test_what_failed_is_tried_again_only_in_better_words():
    assert outcome(a_lesson(), a_lesson(unless="", standing=Standing.RETIRED)) is Outcome.SUPERSEDE
    assert outcome(a_lesson(), a_lesson(standing=Standing.RETIRED)) is Outcome.MERGE


def test_two_skills_of_one_name_never_stand_side_by_side():
    assert outcome(a_skill(purpose="Warms it."), a_skill(), cosine=0.1) is Outcome.MERGE
    assert outcome(a_skill(name="warm"), a_skill(), cosine=0.1) is Outcome.KEEP


def test_a_merged_item_keeps_its_words_and_the_sources_of_both():
    later = MORNING + timedelta(days=1)
    old = a_skill("e1", "e2", id="S1", version=4, demonstrations=("D1", "D2"))
    new = a_skill(
        purpose="else", source=a_source("e2", "e3", made=later, critic="critic-2, critic-1"),
        demonstrations=("D2", "D3"),
    )  # fmt: skip
    joint = merged(old, new)
    assert (joint.id, joint.version, joint.purpose) == ("S1", 4, old.purpose)
    assert joint.source.episodes == ("e1", "e2", "e3")
    assert (joint.source.critic, joint.source.made) == ("critic-1, critic-2", later)
    assert joint.demonstrations == ("D1", "D2", "D3")
    assert merged(joint, new) == joint, "hearing it again adds nothing"


def test_what_says_nothing_new_is_not_newer():
    old, later = a_skill("e1", "e2"), MORNING + timedelta(days=1)
    assert merged(old, a_skill(source=a_source("e2", made=later))) == old
    assert merged(old, a_skill(source=a_source("e3", made=later))).source.made == later


def test_a_lesson_heard_often_enough_names_no_more_episodes():
    lesson = a_lesson("e0")
    for number in range(1, MOST_HEARD + 5):
        lesson = merged(lesson, a_lesson(f"e{number}"))
    assert lesson.source.episodes == tuple(f"e{number}" for number in range(MOST_HEARD))
    better = superseded(lesson, a_lesson("new", unless="it stands open"))
    assert better.source.episodes == ("new", *lesson.source.episodes[:-1])


def test_a_superseded_item_keeps_its_id_and_the_sources_of_both():
    old = a_lesson("e1", id="L1", version=4, unless="")
    joint = superseded(old, a_lesson("e2", unless="it stands open"))
    assert (joint.id, joint.version, joint.unless) == ("L1", 4, "it stands open")
    assert joint.source.episodes == ("e2", "e1")


def test_words_are_what_an_agent_would_read():
    lesson = a_lesson()
    assert same_words(lesson, a_lesson("e5", version=2, standing=Standing.RETIRED, critique="C1"))
    for name in ("when", "fault", "why", "instead", "unless", "kind", "environment"):
        assert not same_words(lesson, replace(lesson, **{name: "else"}))


def test_good_items_are_not_refused():
    assert [refusal(item) for item in (a_lesson(), a_skill(), a_demonstration())] == [None] * 3
