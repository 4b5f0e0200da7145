"""What is practised next, and which failures a critic is asked about."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from apprentice.loop.curriculum import Mix, Tried, chosen, stratified, tried
from environments.episode import Ending, Split, Task
from memory.records import row_of
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
