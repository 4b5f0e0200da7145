"""A memory is used once attempts with it have beaten attempts without it, and not before."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from agent.attempt import Limits
from agent.scripted import Scripted
from apprentice.build import make_bank, make_store, make_trials
from apprentice.commands.absorb import absorb_episodes
from apprentice.commands.prove import NotACandidateError, prove_items
from apprentice.gate.proving import (
    PROOF,
    CannotProveError,
    Court,
    prove,
    proves,
    set_aside,
    to_practise,
)
from apprentice.runs.remember import Reminder
from apprentice.runs.runs import Rig
from apprentice.settings.config import load
from bank_builders import a_lesson, a_source
from environments.episode import Split
from environments.household.household import Household
from environments.seed import derive
from environments.transcript import Origin
from memory.index.embed import embed_missing
from memory.index.index import Index, Which
from memory.knowledge.items import Lesson, Standing
from memory.proof.power import draw, joint, run
from memory.proof.proof import Outcome, Reason
from memory.proof.spending import Spending
from memory.proof.trials import Result, plan_of
from memory.recall.briefing import small
from memory.recall.candidates import Shelf
from memory.recall.recall import Space, Taste
from store_worker import MORNING
from wandering import recorded

WORLD = Household.generated(train=240, max_receptacles=6)
TASKS = {task.goal: task for task in WORLD.tasks(Split.TRAIN)}
KEY, TRAP, IDLE = "Use the golden plan.", "Freeze at once.", "Stay calm."


class Minded:
    """A policy that knows every plan, and follows it as its briefing lets it.

    Without advice it solves a third of the tasks; with the key all, with the trap none.
    """

    name = "minded"
    temperature = 0.0
    width = 8

    def __init__(self):
        self.played = []

    async def complete(self, turn):
        told = "\n".join(m.text for m in turn.messages if m.origin is Origin.MEMORY)
        opening = next(m.text for m in turn.messages if m.origin is Origin.TASK)
        task = next(task for goal, task in TASKS.items() if goal in opening)
        written = sum(m.origin is Origin.POLICY for m in turn.messages)
        if not written:
            self.played.append((task.id, told))
        able = KEY in told or (TRAP not in told and derive("able", task.id) % 3 == 0)
        plan = WORLD.gold(task) if able else ()
        said = plan[written] if written < len(plan) else "look"
        return await Scripted([said]).complete(replace(turn, messages=()))

    async def close(self):
        pass


class Letters:
    """An embedder without a model: texts with the same letters are near."""

    name = "letters"

    def items(self, texts):
        return np.stack([self.query(text) for text in texts])

    def query(self, text):
        counts = np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256) + 1e-3
        return (counts / np.linalg.norm(counts)).astype(np.float32)


def a_shelf(bank):
    embed_missing(bank, Letters())
    index = Index(bank, Which(model=Letters.name), None)
    return Shelf(bank=bank, index=index, embedder=Letters(), environment=WORLD.name)


@pytest.fixture
def place(tmp_path):
    """Return a function that opens a court anew, as another start of the program would."""
    config = load({"home": tmp_path / "home"})
    sources = WORLD.tasks(Split.TRAIN)[:6]
    with make_store(config) as store, make_bank(config) as bank, make_trials(config) as trials:
        store.add_all(
            recorded(WORLD, task, ("look",), id=f"e{n}") for n, task in enumerate(sources)
        )
        ticks = iter(range(10**6))

        def court(policy, **changes):
            clock = lambda: MORNING + timedelta(seconds=next(ticks))  # noqa: E731
            reminder = Reminder(
                bank=bank,
                open_shelf=lambda: a_shelf(bank),
                strategy="worth",
                taste=Taste(floor=-1),
                space=Space(render=small, count_tokens=lambda text: len(text.split()), budget=60),
                share_left_out=0.1,
                clock=clock,
            )
            rig = Rig(
                environment=WORLD, policy=policy, store=store, limits=Limits(steps=10), width=8,
                checkpoints=tmp_path / "home", clock=clock, reminder=reminder,
            )  # fmt: skip
            options = {"seed": 0, "set_aside": 0.5, **changes}
            return Court(rig=rig, trials=trials, **options)

        court.bank, court.trials, court.store, court.config = bank, trials, store, config
        yield court


def a_candidate(place, instead, episode="e0", **changes):
    source = a_source(episode, made=MORNING)
    return place.bank.add(a_lesson(instead=instead, kind="", source=source, **changes))


def proved(items, court):
    return asyncio.run(prove(items, court))


def test_what_helps_is_adopted_and_what_harms_or_does_nothing_is_retired(place):
    key, trap, idle = (a_candidate(place, words) for words in (KEY, TRAP, IDLE))
    policy = Minded()
    rulings = {each.item: each for each in proved([key, trap, idle], place(policy))}
    assert rulings[key.id].verdict.outcome is Outcome.PROMOTE
    assert place.bank.get(key.id).standing is Standing.ACTIVE
    for item in (trap, idle):
        assert rulings[item.id].verdict.outcome is Outcome.REJECT
        assert place.bank.get(item.id).standing is Standing.RETIRED
        assert place.bank.history(item.id)[-1].why == rulings[item.id].words
    assert rulings[idle.id].verdict.wins == rulings[idle.id].verdict.losses == 0
    assert {each.by for each in place.bank.history(key.id)[1:]} == {PROOF}
    spending = Spending(rounds=1, adopted=1)
    assert place.trials.spending() == spending
    assert rulings[key.id].verdict.plan.level == Spending().level(3)


def test_candidates_of_a_round_share_the_attempts_without_them(place):
    items = [a_candidate(place, words) for words in (TRAP, IDLE)]
    policy = Minded()
    proved(items, place(policy, pairs=8))
    assert len(policy.played) == len(set(policy.played))
    bare = {task for task, told in policy.played if not told}
    assert len(bare) == 8
    assert len(policy.played) == 8 * 3


def test_an_undecided_trial_goes_on_where_it_stopped_and_plays_nothing_twice(place):
    idle = a_candidate(place, IDLE)
    policy = Minded()
    (first,) = proved([idle], place(policy, pairs=5))
    assert (first.verdict.reason, first.verdict.pairs) == (Reason.OPEN, 5)
    assert place.bank.get(idle.id).standing is Standing.CANDIDATE
    (second,) = proved([idle], place(policy, pairs=5))
    assert second.verdict.pairs == 10
    assert len(policy.played) == len(set(policy.played)) == 20
    (trial,) = place.trials.of(idle.id)
    assert (trial.round, len(trial.pairs), trial.result) == (1, 10, None)
    assert second.verdict.plan == first.verdict.plan


def test_a_proof_cut_off_anywhere_ends_as_if_it_had_not_been(place):
    class Cut(Minded):
        async def complete(self, turn):
            if len(self.played) >= 20:
                raise KeyboardInterrupt
            return await super().complete(turn)

    key = a_candidate(place, KEY)
    with pytest.raises(KeyboardInterrupt):
        proved([key], place(Cut()))
    assert place.bank.get(key.id).standing is Standing.CANDIDATE
    (ruling,) = proved([key], place(Minded()))
    assert place.bank.get(key.id).standing is Standing.ACTIVE

    other = a_candidate(place, KEY, "e1", when="again")
    place.bank.set_standing(key.id, Standing.RETIRED, "to compare", MORNING)
    (whole,) = proved([other], place(Minded()))
    assert whole.verdict.wins > 0
    assert ruling.verdict.pairs <= 20


def test_a_verdict_that_was_carried_out_but_not_noted_counts_all_the_same(place):
    key = a_candidate(place, KEY)
    court = place(Minded(), pairs=30)
    end = court.trials.end
    court.trials.end = lambda trial, *_: trial  # as if killed just before
    proved([key], court)
    court.trials.end = end
    assert place.bank.get(key.id).standing is Standing.ACTIVE
    assert place.trials.spending().adopted == 0
    idle = a_candidate(place, IDLE, when="else")
    place.bank.set_standing(key.id, Standing.RETIRED, "so that nothing is recalled", MORNING)
    proved([idle], place(Minded(), pairs=1))
    assert [trial.result for trial in place.trials.of(key.id)] == [Result.PROMOTED]
    assert place.trials.of(idle.id)[0].plan.level == Spending(rounds=1, adopted=1).level()


def test_no_candidate_meets_a_task_that_it_was_learned_from(place):
    first, second, *_ = set_aside(WORLD.tasks(Split.TRAIN), 0.5)
    place.store.add(recorded(WORLD, first, ("look",), id="of-the-first"))
    policy = Minded()
    proved([a_candidate(place, IDLE, "of-the-first")], place(policy, pairs=1))
    assert {task for task, _ in policy.played} == {second.id}
    proved([a_candidate(place, TRAP, "e0")], place(policy, pairs=1))
    assert {task for task, _ in policy.played} == {first.id, second.id}


def test_a_candidate_of_one_kind_meets_tasks_of_that_kind_only(place):
    kind = WORLD.tasks(Split.TRAIN)[0].kind
    item = place.bank.add(a_lesson(instead=KEY, kind=kind, source=a_source("e0", made=MORNING)))
    policy = Minded()
    proved([item], place(policy, pairs=4))
    assert {WORLD.task(task).kind for task, _ in policy.played} == {kind}


def test_which_tasks_are_set_aside_is_known_from_their_ids():
    tasks = WORLD.tasks(Split.TRAIN)
    chosen = set_aside(tasks, 0.25)
    assert chosen == set_aside(tasks[::-1], 0.25)
    assert set(chosen) < set(set_aside(tasks, 0.5))
    assert 40 <= len(chosen) <= 80


@pytest.mark.parametrize(
    ("memory", "shared"),
    [
        ({}, True),
        ({"recall": "off"}, False),  # nothing is shown, so nothing is proved
        ({"admission": "review"}, False),
    ],
)
def test_a_task_is_practised_or_set_aside_for_proofs_and_never_both(memory, shared):
    tasks, memory = WORLD.tasks(Split.TRAIN), load({"memory": memory}).memory
    left, aside = to_practise(tasks, memory), set_aside(tasks, memory.set_aside)
    assert proves(memory) is shared
    if shared:
        assert sorted(task.id for task in (*left, *aside)) == sorted(task.id for task in tasks)
    else:
        assert left == tuple(tasks)


def test_where_too_few_tasks_are_set_aside_nothing_is_begun(place):
    item = a_candidate(place, KEY)
    (ruling,) = proved([item], place(Minded(), set_aside=0.004))
    assert "too few" in ruling.words
    assert place.trials.spending() == Spending()
    assert place.bank.get(item.id).standing is Standing.CANDIDATE


def test_a_trial_of_few_pairs_looks_for_a_gain_that_they_can_show():
    rng = np.random.default_rng(0)
    for pairs, gain in [(29, 0.5), (60, 0.35), (300, 0.12)]:
        plan = plan_of(Spending().level(10), pairs)
        course = run(*draw(joint(0.3, 0.3 + gain, 0.3), 300, pairs, rng), plan)
        assert course.share > 0.7
    assert plan_of(Spending().level(10), 300).worthwhile == pytest.approx(0.10, abs=0.01)
    assert plan_of(0.05, 5000).worthwhile == 0.10


def test_what_does_not_fit_a_briefing_is_not_tried(place):
    item = a_candidate(place, "very " * 100)
    (ruling,) = proved([item], place(Minded()))
    assert "budget" in ruling.words
    assert not place.trials.of(item.id)


def test_new_words_are_judged_anew_and_other_sources_are_not(place):
    idle = a_candidate(place, IDLE)
    proved([idle], place(Minded(), pairs=5))
    grown = place.bank.revise(replace(idle, source=a_source("e0", "e1", made=MORNING)))
    proved([grown], place(Minded(), pairs=5))
    assert [len(trial.pairs) for trial in place.trials.of(idle.id)] == [10]
    assert isinstance(grown, Lesson)
    reworded = place.bank.revise(replace(grown, instead=KEY))
    proved([reworded], place(Minded()))
    results = [trial.result for trial in place.trials.of(idle.id)]
    assert results == [Result.DROPPED, Result.PROMOTED]


def test_a_person_may_decide_before_the_trial_does(place):
    idle = a_candidate(place, IDLE)
    proved([idle], place(Minded(), pairs=5))
    place.bank.set_standing(idle.id, Standing.RETIRED, "by hand", MORNING, by="user")
    (ruling,) = proved([place.bank.get(idle.id)], place(Minded()))
    assert ruling.words == "is retired; only candidates are proved"
    assert [trial.result for trial in place.trials.of(idle.id)] == [Result.DROPPED]


def test_more_than_a_round_holds_wait_for_the_next(place):
    items = [a_candidate(place, f"{IDLE} {n}", when=f"case {n}") for n in range(12)]
    rulings = {each.item: each for each in proved(items, place(Minded(), pairs=1))}
    waiting = [id for id, each in rulings.items() if each.words == "waits for the next round"]
    assert waiting == [item.id for item in items[10:]]
    assert len({trial.plan.level for trial in place.trials.going()}) == 1


def test_nothing_is_proven_where_memory_is_never_shown(place):
    item = a_candidate(place, KEY)
    court = place(Minded())
    deaf = replace(court, rig=replace(court.rig, reminder=None))
    with pytest.raises(CannotProveError, match=r"memory\.recall"):
        proved([item], deaf)


def test_what_was_played_for_a_proof_teaches_nothing_else(place, capsys):
    proved([a_candidate(place, KEY)], place(Minded()))
    world = {"settings": {"train": 240, "max_receptacles": 6}}
    config = load({"home": place.config.home, "environment": world})
    before = place.bank.count()
    absorb_episodes(config, None, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert place.bank.count() == before
    assert sum(told["skipped"].values()) == 6  # those that were there before


def test_the_command_refuses_where_people_judge(place):
    config = load({"home": place.config.home, "memory": {"admission": "review"}})
    with pytest.raises(CannotProveError, match="skills approve"):
        prove_items(config, [], None, as_json=True)


def test_the_command_names_what_is_no_candidate(place):
    item = a_candidate(place, KEY)
    place.bank.set_standing(item.id, Standing.RETIRED, "by hand", MORNING)
    config = load({"home": place.config.home, "policy": {"use": "random"}})
    with pytest.raises(NotACandidateError, match=f"{item.id} is retired"):
        prove_items(config, [item.id], None, as_json=True)


def test_the_command_says_what_came_of_each(place, capsys):
    item = a_candidate(place, KEY, environment="household")
    config = load({"home": place.config.home, "policy": {"use": "random"}, "limits": {"steps": 2}})
    prove_items(config, [item.id], 2, as_json=True)
    (ruling,) = json.loads(capsys.readouterr().out)
    assert ruling["item"] == item.id
    assert ruling["verdict"]["neither"] == 2
    assert ruling["words"].startswith("undecided")
