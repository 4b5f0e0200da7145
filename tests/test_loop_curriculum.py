"""What is practised next, and which failures a critic is asked about."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from apprentice.loop.chances import Chance, Tried, chances, rates, tried
from apprentice.loop.curriculum import Mix, chosen, stratified
from environments.episode import Ending, Split, Task
from memory.store.records import row_of
from store_worker import an_episode


def some_tasks(**sizes):
    return [
        Task(id=f"{kind}-{n}", environment="w", split=Split.TRAIN, kind=kind, goal="")
        for kind, size in sizes.items()
        for n in range(size)
    ]


def _share_of(kind, tasks, before, mix, count=10, draws=200):
    picked = Counter(
        task.kind
        for seed in range(draws)
        for task in chosen(tasks, before, mix, count, Random(seed))
    )
    return picked[kind] / picked.total()


def test_types_that_fail_are_practised_more():
    tasks = some_tasks(hard=50, easy=50)
    before = {task.id: Tried(0 if task.kind == "hard" else 8, 8) for task in tasks}
    even = _share_of("hard", tasks, before, Mix(failing=0.0, middling=0.0))
    failing = _share_of("hard", tasks, before, Mix(failing=1.0, middling=0.0))
    assert even == pytest.approx(0.5, abs=0.05)
    assert failing > 0.95


def test_a_rare_type_that_fails_is_not_drowned_by_a_common_one():
    tasks = some_tasks(rare=10, common=190)
    before = {task.id: Tried(0, 4) for task in tasks}
    share = _share_of("rare", tasks, before, Mix(failing=1.0, middling=0.0), count=4)
    assert share == pytest.approx(0.5, abs=0.08)


def test_tasks_solved_now_and_then_come_before_those_always_or_never_solved():
    tasks = some_tasks(walk=60)
    middle = {f"walk-{n}": Tried(4, 8) for n in range(5)}
    before = {f"walk-{n}": Tried(8 * (n % 2), 8) for n in range(60)} | middle
    mix = Mix(failing=0.0, middling=0.5)
    for seed in range(20):
        picked = {task.id for task in chosen(tasks, before, mix, 10, Random(seed))}
        assert set(middle) <= picked
        assert len(picked) == 10


def _practised(mix, seed, rounds=6, attempts=8):
    """Return the share of groups that differ, where types are easy, mixed and hard."""
    rng = Random(seed)
    tasks = some_tasks(easy=40, mixed=40, hard=40)
    spread = {"easy": (4, 0.4), "mixed": (0.5, 0.5), "hard": (0.3, 3)}
    truth = {task.id: rng.betavariate(*spread[task.kind]) for task in tasks}
    before: dict[str, Tried] = {}
    differed = 0
    for turn in range(rounds):
        for task in chosen(tasks, before, mix, 12, Random(seed + 1000 * turn)):
            solved = sum(rng.random() < truth[task.id] for _ in range(attempts))
            before[task.id] = before.get(task.id, Tried()).and_(Tried(solved, attempts))
            differed += 0 < solved < attempts
    return differed / (12 * rounds)


def test_attempts_at_what_is_chosen_differ_more_often_than_at_tasks_drawn_evenly():
    """Simulated: 30 worlds of 120 tasks, six rounds of 12 tasks in each."""
    even = [_practised(Mix(failing=0.0, middling=0.0), seed) for seed in range(30)]
    keen = [_practised(Mix(failing=0.4, middling=0.4), seed) for seed in range(30)]
    assert sum(keen) / 30 > sum(even) / 30 + 0.1
    assert sum(a > b for a, b in zip(keen, even, strict=True)) >= 25


def test_the_chance_that_attempts_differ_is_that_of_a_beta_distribution():
    """Of an even one over all shares: 1 - 2 / (n + 1)."""
    assert Chance(1, 1).differ(8) == pytest.approx(1 - 2 / 9)
    assert Chance(1, 1).differ(1) == pytest.approx(0.0)
    assert Chance(1000, 1000).differ(2) == pytest.approx(0.5, abs=1e-3)
    assert Chance(40, 0.001).differ(8) < 0.01


def test_a_type_that_was_hardly_tried_is_believed_to_be_like_the_others():
    tasks = some_tasks(known=10, new=10)
    before = {f"known-{n}": Tried(6, 8) for n in range(10)} | {"new-0": Tried(0, 1)}
    found = rates(tasks, before)
    assert found["known"] == pytest.approx(0.75, abs=0.01)
    assert 0.4 < found["new"] < 0.6


@pytest.mark.parametrize(("apart", "low", "high"), [(True, 0.0, 0.05), (False, 0.2, 0.5)])
def test_what_one_attempt_says_of_a_task_depends_on_how_alike_tasks_are(apart, low, high):
    """Where tasks are solved always or never one failure says all, where they are alike little."""
    tasks = some_tasks(walk=41)
    records = (Tried(0, 8), Tried(8, 8)) if apart else (Tried(4, 8), Tried(4, 8))
    before = {f"walk-{n}": records[n % 2] for n in range(40)} | {"walk-40": Tried(0, 4)}
    believed = chances(tasks, before)["walk-40"]
    assert low < believed.solved / (believed.solved + believed.failed) < high


def test_what_was_never_tried_is_practised_too():
    tasks = some_tasks(walk=40)
    before = {f"walk-{n}": Tried(4, 8) for n in range(20)}
    mix = Mix(failing=0.4, middling=0.4)
    picked = {t.id for seed in range(50) for t in chosen(tasks, before, mix, 10, Random(seed))}
    assert picked == {task.id for task in tasks}


def test_the_choice_follows_from_the_seed_and_asks_for_no_more_than_there_is():
    tasks = some_tasks(walk=8)
    mix = Mix(failing=0.4, middling=0.4)
    assert chosen(tasks, {}, mix, 5, Random(1)) == chosen(tasks, {}, mix, 5, Random(1))
    assert {task.id for task in chosen(tasks, {}, mix, 8, Random(1))} == {t.id for t in tasks}
    with pytest.raises(ValueError, match="more than all"):
        Mix(failing=0.6, middling=0.6)


def test_only_the_newest_attempts_at_a_task_count_and_broken_ones_never():
    ends = [Ending.BROKEN] * 3 + [Ending.SOLVED] * 10 + [Ending.FAILED] * 20
    rows = [replace(row_of(an_episode()), ending=each) for each in ends]
    assert tried(rows) == {"household/42": Tried(10, 16)}


def test_attempts_are_counted_by_task():
    rows = [
        row_of(an_episode(f"e{n}", ending=end))
        for n, end in enumerate((Ending.SOLVED, Ending.FAILED, Ending.SOLVED))
    ]
    assert tried(rows) == {"household/42": Tried(2, 3)}


def _failures(**sizes):
    return [
        row_of(
            an_episode(
                f"{kind}{n:02}",
                ending=Ending.FAILED,
                task=Task(id=f"{kind}{n}", environment="w", split=Split.TRAIN, kind=kind, goal=""),
            )
        )
        for kind, size in sizes.items()
        for n in range(size)
    ]


def test_failures_are_taken_evenly_over_types_until_one_runs_out():
    """50, 3 and 1 failures and a budget of 9: 5, 3 and 1."""
    found = Counter(row.kind for row in stratified(_failures(a=50, b=3, c=1), 9))
    assert found == {"a": 5, "b": 3, "c": 1}
    assert Counter(r.kind for r in stratified(_failures(a=50, b=30), 7)) == {"a": 4, "b": 3}
    assert stratified([], 5) == ()


def test_the_worst_failures_of_a_type_come_first():
    rows = [replace(row, steps=n) for row, n in zip(_failures(a=3), (5, 30, 12), strict=True)]
    assert [row.steps for row in stratified(rows, 2)] == [30, 12]
