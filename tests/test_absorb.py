"""From finished episodes to a real bank: each ending teaches in its own way, or not at all."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest

from agent.critics.absorb import Absorber, Skipped, absorb, absorb_skills, demonstrate
from agent.critics.case import Case
from agent.critics.critic import Critic
from agent.critics.inducer import word
from agent.critics.scrutiny import Rejection
from agent.scripted import Scripted
from bank_builders import a_lesson, a_recall, a_source
from criticizing import ADVICE, FAILED, GOLD, TASK, WORLD, an_answer
from environments.anchor import Anchor
from environments.episode import Ending, Split
from environments.household.household import Household
from memory.bank.bank import Bank
from memory.knowledge.items import Demonstration, HeldOutError, Lesson, Skill, Standing, text_of
from memory.making.abstract import instances, lint
from memory.making.alike import alike
from memory.proof.credit import Tag
from memory.store.store import Store
from wandering import NOON, excursions, recorded
from worlds import Workshop

HOUSE = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=6)


class WordHashes:
    """An embedder without a model: texts with the same words are near."""

    name = "words"

    def items(self, texts):
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for each in text.casefold().split():
                vectors[row, crc32(each.encode()) % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def home(tmp_path):
    """A store and a bank in one database."""
    path = tmp_path / "db.sqlite"
    with Store.open(path) as store, Bank.open(path) as bank:
        yield SimpleNamespace(store=store, bank=bank)


def home_source(id):
    return a_source(id, made=NOON)


def answering(*answers):
    """Return a critic of one vote; the last answer is repeated."""
    texts = iter([json.dumps(each) for each in answers])
    last = json.dumps(answers[-1])
    return Critic(Scripted(lambda _: next(texts, last)), votes=1)


def absorbed(home, *episodes, critic=None, environment=WORLD):
    home.store.add_all(episodes)
    return asyncio.run(absorb(episodes, absorber(home, critic, environment)))


def absorber(home, critic=None, environment=WORLD):
    return Absorber(
        bank=home.bank,
        alike=partial(alike, bank=home.bank, embedder=WordHashes()),
        clock=lambda: NOON,
        environment=environment,
        critic=critic,
    )


def walks(many):
    return [
        recorded(WORLD, task, excursions(WORLD, task, Random(task.id)), id=f"w{number}")
        for number, task in enumerate(WORLD.tasks(Split.TRAIN)[:many])
    ]


def test_a_solved_episode_becomes_a_proven_demonstration_and_never_a_lesson(home):
    report = absorbed(home, *walks(12), critic=answering(an_answer()))
    kept = home.bank.items()
    assert {type(item) for item in kept} == {Demonstration}
    assert len(kept) == len(report.items) == len({item.goal for item in kept}) == 12
    for item in kept:
        assert (item.standing, item.replayed) == (Standing.CANDIDATE, True)
        assert item.source.anchor is Anchor.ENVIRONMENT
        assert item.source.critic == ""
        assert lint(item) == ()
        assert any(instances(move.action) for move in item.moves)


def test_a_failed_episode_becomes_a_lesson_with_its_critique_and_never_a_demonstration(home):
    failed = replace(FAILED, ending=Ending.FAILED)
    report = absorbed(home, failed, critic=answering(an_answer()))
    (lesson,) = home.bank.items()
    assert isinstance(lesson, Lesson)
    assert (lesson.when, lesson.fault, lesson.instead) == (
        ADVICE["when"],
        ADVICE["fault"],
        ADVICE["instead"],
    )
    assert lesson.kind == TASK.kind
    assert lesson.critique == report.critiques[0].id
    assert home.bank.critique(lesson.critique).score == -1
    assert lesson.source.anchor is Anchor.THIRD_PARTY_JUDGE
    assert lint(lesson) == ()


def test_the_critic_says_of_each_item_that_was_shown_whether_it_helped(home):
    home.store.add_all(walks(2))
    shown, left_out = home.bank.add_all(
        [a_lesson(source=home_source("w0")), a_lesson(source=home_source("w1"))]
    )
    briefed = replace(FAILED, ending=Ending.FAILED, briefing="Remember: open it")
    home.bank.log_uses([
        a_recall(shown, briefed.id), a_recall(left_out, briefed.id, shown=False),
    ])  # fmt: skip
    effects = [{"note": item.id, "effect": "harmed"} for item in (shown, left_out)]
    report = absorbed(home, briefed, critic=answering(an_answer(), {"effects": effects}))
    assert report.tagged == 1
    assert report.rejections == {"judges a note that was not shown": 1}
    assert [use.tag for use in home.bank.uses(shown.id)] == [Tag.HARMFUL]
    assert [use.tag for use in home.bank.uses(left_out.id)] == [None]


def test_in_hindsight_an_unsolved_episode_demonstrates_what_it_did_solve_once(home):
    task = HOUSE.tasks(Split.TRAIN)[0]
    actions = (
        "go to countertop 1", "take egg 1 from countertop 1", "go to garbagecan 1",
        "move egg 1 to garbagecan 1",
    )  # fmt: skip
    episode = recorded(HOUSE, task, actions, id="e1")
    home.store.add(episode)
    by = replace(absorber(home, environment=HOUSE), hindsight=True)
    for _ in range(2):
        asyncio.run(absorb([episode], by))
        (item,) = home.bank.items(environment=HOUSE.name)
        assert isinstance(item, Demonstration)
        assert item.replayed
        assert [move.action for move in item.moves] == list(actions)
        assert item.source.episodes == ("e1",)
        assert HOUSE.task(item.task).goal.split()[2] == "egg"


def test_a_broken_episode_teaches_nothing(home):
    broken = replace(FAILED, ending=Ending.BROKEN, error="ZeroDivisionError")
    report = absorbed(home, broken, critic=answering(an_answer()))
    assert home.bank.count() == 0
    assert dict(report.skipped)[Skipped.BROKEN] == 1


@pytest.mark.parametrize("split", [Split.DEV, Split.TEST])
@pytest.mark.parametrize("ending", [Ending.SOLVED, Ending.FAILED, Ending.TRUNCATED])
def test_an_episode_of_a_held_out_task_raises_and_nothing_of_the_rest_is_stored(
    home, split, ending
):
    leak = replace(FAILED, id="x", task=replace(TASK, split=split), ending=ending)
    with pytest.raises(HeldOutError, match=f"episode x is of a {split} task"):
        absorbed(home, *walks(2), leak, critic=answering(an_answer()))
    assert home.bank.count() == 0
    assert home.bank.critiques("x") == []


def test_a_truncated_episode_is_criticized_only_for_steps_that_it_wasted(home):
    wasteful = replace(FAILED, id="e1")
    steady = recorded(WORLD, TASK, GOLD[:2], id="e2")
    report = absorbed(home, steady, wasteful, critic=answering(an_answer()))
    assert dict(report.skipped)[Skipped.JUST_LONG] == 1
    assert [critique.episode for critique in report.critiques] == ["e1"]


def test_without_a_critic_only_what_was_solved_teaches(home):
    report = absorbed(home, FAILED, walks(1)[0])
    assert dict(report.skipped)[Skipped.NO_CRITIC] == 1
    assert [type(item) for item in report.items.values()] == [Demonstration]


def test_a_critic_that_is_not_believed_stores_nothing_and_is_counted(home):
    invented = an_answer(citations=[{"step": 2, "quote": "You see a dragon."}])
    report = absorbed(home, FAILED, critic=answering(invented))
    assert home.bank.count() == 0
    assert dict(report.skipped)[Skipped.UNBELIEVED] == 1
    assert report.rejections == {Rejection.NOT_OBSERVED: 1}


def test_a_critique_without_a_usable_lesson_is_kept_alone(home):
    report = absorbed(home, FAILED, critic=answering(an_answer(lesson=None)))
    assert home.bank.count() == 0
    assert len(home.bank.critiques("e1")) == 1
    assert dict(report.skipped)[Skipped.NO_LESSON] == 1


def test_what_an_earlier_policy_says_as_a_critic_is_told_from_what_another_model_says(home):
    home.store.add(FAILED)
    earlier = replace(absorber(home, answering(an_answer())), past=("wanderer", "scripted"))
    (critique,) = asyncio.run(absorb([FAILED], earlier)).critiques
    assert critique.source.anchor is Anchor.PAST_POLICY
    (lesson,) = home.bank.items()
    assert lesson.source.anchor is Anchor.PAST_POLICY


def test_an_attempt_is_held_against_those_that_solved_the_same_task(home):
    solved = recorded(WORLD, TASK, GOLD, id="e2")
    asked = []

    def answer(turn):
        asked.append("\n".join(message.text for message in turn.messages))
        return json.dumps(an_answer())

    report = absorbed(home, FAILED, solved, critic=Critic(Scripted(answer), votes=1))
    assert f"{GOLD[2]!r} leads on" in asked[0]
    assert report.critiques[0].source.episodes == ("e1", "e2")


def test_a_demonstration_of_an_earlier_day_is_held_against_it_and_named_as_a_source(home):
    absorbed(home, recorded(WORLD, TASK, GOLD, id="e2"))
    report = absorbed(home, FAILED, critic=answering(an_answer()))
    assert report.critiques[0].source.episodes == ("e1", "e2")


def test_absorbing_again_adds_nothing(home):
    episodes = [*walks(6), replace(FAILED, id="e9")]
    absorbed(home, *episodes, critic=answering(an_answer()))
    before = [(item.id, item.version) for item in home.bank.items()]
    report = absorbed(home, *episodes, critic=answering(an_answer()))
    assert [(item.id, item.version) for item in home.bank.items()] == before
    assert dict(report.skipped) == {Skipped.KNOWN: 7, Skipped.BROKEN: 0}
    assert home.bank.integrity() == ()


def test_the_same_lesson_of_several_failures_is_one_lesson_with_several_sources(home):
    many = [replace(FAILED, id=f"e{n}", ending=Ending.FAILED) for n in range(5)]
    absorbed(home, *many, critic=answering(an_answer()))
    (lesson,) = home.bank.items()
    assert set(lesson.source.episodes) == {f"e{n}" for n in range(5)}


def test_a_shorter_demonstration_takes_the_place_of_a_longer_one(home):
    long = recorded(WORLD, TASK, excursions(WORLD, TASK, Random(3)), id="e1")
    home.store.add(long)
    unpruned = demonstrate(long, None, NOON)
    first = home.bank.add(replace(unpruned, moves=unpruned.moves * 2))
    report = absorbed(home, recorded(WORLD, TASK, GOLD, id="e2"))
    (kept,) = report.items.values()
    assert isinstance(kept, Demonstration)
    assert (kept.id, kept.version, kept.replayed) == (first.id, 2, True)
    assert len(kept.moves) == len(GOLD)


def test_all_that_absorbing_keeps_is_found_by_words_without_instance_numbers(home):
    numbered = {name: f"{text} near sinkbasin 2 and mug 1" for name, text in ADVICE.items()}
    absorbed(home, *walks(6), FAILED, critic=answering(an_answer(lesson=numbered)))
    asyncio.run(absorb_skills(absorber(home), environment="household"))
    kept = home.bank.items()
    assert {type(item) for item in kept} >= {Demonstration, Lesson}
    assert all(instances(text_of(item)) == () for item in kept)


def fetched(home, **how):
    shop = Workshop()
    tries = [
        recorded(shop, task, shop.gold(task), id=f"s{number}")
        for number, task in enumerate(shop.tasks(Split.TRAIN))
    ]
    absorbed(home, *tries, environment=shop)
    by = absorber(home, environment=shop)
    return asyncio.run(absorb_skills(by, environment="workshop", **how))


def test_demonstrations_of_one_shape_become_one_skill_however_often_one_asks(home):
    report = fetched(home)
    (skill,) = report.items.values()
    assert isinstance(skill, Skill)
    assert skill.procedure == ("go to {place}", "take {object}")
    again = asyncio.run(absorb_skills(absorber(home), environment="workshop"))
    assert list(again.items) == [skill.id]
    assert home.bank.count(type=Skill) == 1


def test_a_namer_words_a_skill_but_not_what_it_does_and_it_stays_one_skill(home):
    wording = {"name": "fetch-a-tool", "purpose": "Fetches a tool. Use it when one is asked for."}
    report = fetched(home, namer=Scripted(lambda _: json.dumps(wording)))
    (skill,) = report.items.values()
    assert (skill.name, skill.procedure[1]) == ("fetch-a-tool", "take {object}")
    assert skill.source.critic == "scripted"
    asyncio.run(absorb_skills(absorber(home), environment="workshop"))
    assert home.bank.count(type=Skill) == 1


@pytest.mark.parametrize(
    ("wording", "reason"),
    [
        ("I would call it Fetch.", "no answer in the form asked for"),
        ({"name": "Fetch It!", "purpose": "Fetches."}, "cannot be stored"),
        ({"name": "fetch", "purpose": "Fetches saw 3."}, "names a particular thing"),
        ({"name": "fetch", "purpose": "Fetches.\x1b[2J"}, "purpose is no text of one line"),
        ({"name": "fetch", "purpose": "f" * 400}, "purpose too long"),
    ],
)
def test_an_unfit_wording_is_dropped_and_counted(home, wording, reason):
    said = wording if isinstance(wording, str) else json.dumps(wording)
    (skill,) = fetched(home).items.values()
    dropped = Counter()
    same = asyncio.run(word(skill, Scripted(lambda _: said), seed=0, rejections=dropped))
    assert same == skill
    assert dropped == {reason: 1}


@pytest.mark.slow
def test_the_embedded_model_may_be_the_critic_and_nothing_false_comes_of_it():
    from distill.engine.engine import LocalPolicy, LocalSettings
    from distill.models.models import DEFAULT_MODEL

    cache = Path.home() / ".cache" / "apprentice"
    settings = LocalSettings(lanes=3, temperature=0.7, max_tokens=192)
    policy = LocalPolicy.open(DEFAULT_MODEL, cache=cache, settings=settings)

    async def heard():
        try:
            return await Critic(policy, votes=3, room=4_000).criticize(Case(episode=FAILED), NOON)
        finally:
            await policy.close()

    heard = asyncio.run(heard())
    believed = len(heard.critique.votes) if heard.critique else 0
    unheard = sum(
        heard.rejections.get(reason, 0)
        for reason in Rejection
        if not reason.startswith(("hint", "lesson"))
    )
    assert believed + unheard == 3
