"""Two contenders on the same tasks: the same whatever the width, told with its uncertainty."""

import asyncio
import json
import shlex
from dataclasses import replace

import pytest

from apprentice.commands.exam import Question, command
from apprentice.gate.exam import Comparison, compare, confidence, contender
from apprentice.settings.config import load
from command import apprentice
from environments.episode import Split
from examining import Silent, a_comparison, a_seat, a_sheet, dev_tasks
from learning import an_episode
from memory.store.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def test_a_comparison_counts_wins_and_losses_by_task():
    found = a_comparison([True, True, False, False], [True, False, True, True])
    assert (found.wins, found.losses, found.difference) == (2, 1, 0.25)
    assert found.p == 1.0  # 2 of 3 tosses
    assert found.interval.low < 0 < found.interval.high
    assert [pair.task for pair in found.pairs] == ["walk-0", "walk-1", "walk-2", "walk-3"]


def test_a_comparison_of_different_tasks_is_refused():
    with pytest.raises(ValueError, match="did not play the same tasks"):
        Comparison(a=a_sheet("a", [True]), b=a_sheet("b", [True], kind="swim"))


def test_each_task_type_is_compared_by_itself():
    both = [
        a_comparison([True, False], [False, False], kind="walk"),
        a_comparison([False], [True], kind="swim"),
    ]
    joined = both[0].joined(both[1])
    swim, walk = joined.kinds
    assert (swim.wins, swim.losses, walk.wins, walk.losses) == (1, 0, 0, 1)


def test_a_seat_answers_alike_at_any_width_and_only_once(tmp_path, store):
    tasks = dev_tasks()
    solves = {each.id for each in tasks[::2]}
    seats = [a_seat(store, tmp_path, "a", solves, width=width) for width in (1, 9)]
    watched = Silent()
    first, second = (asyncio.run(seat.sit(tasks, watched)) for seat in seats)
    assert first == second
    assert watched.episodes == len(tasks)  # the second took the answers of the first
    assert [each.solved for each in first] == [each.id in solves for each in tasks]
    other = [a_seat(store, tmp_path, "b", solves, width=width) for width in (1, 9)]
    wide, narrow = (asyncio.run(seat.sit(tasks, watched)) for seat in other)
    assert wide == narrow


def test_both_play_the_same_tasks_with_the_same_seeds(tmp_path, store):
    tasks = dev_tasks()
    a = a_seat(store, tmp_path, "a", {each.id for each in tasks[:2]})
    b = a_seat(store, tmp_path, "b", {each.id for each in tasks[1:4]})
    found = asyncio.run(compare(a, b, tasks, Silent()))
    assert (found.a.solved, found.b.solved, found.wins, found.losses) == (2, 3, 2, 1)
    seeds = [
        [store.get(answer.episode).seed for answer in sheet.answers] for sheet in (found.a, found.b)
    ]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == len(tasks)


def test_confidence_is_the_geometric_mean_over_steps_and_unknown_without_logprobs():
    episode = an_episode("go left", "take gold")
    logprobs = [sum(step.completion.logprobs) for step in episode.steps]
    assert confidence(episode) == pytest.approx(2.718281828 ** (sum(logprobs) / 2))
    bare = replace(
        episode,
        steps=tuple(
            replace(step, completion=replace(step.completion, logprobs=()))
            for step in episode.steps
        ),
    )
    assert confidence(bare) is None


def test_memory_briefs_only_who_says_so(tmp_path):
    config = load({"home": tmp_path})
    assert contender(config, "random").memory.recall == "off"
    assert contender(config, "random+memory").memory.recall == config.memory.recall
    assert contender(config, "random+memory").policy.use == "random"


def test_the_command_printed_asks_the_same_again(tmp_path):
    asked = ["exam", "--a", "random", "--b", "random+memory", "--tasks", "4", "--steps", "3"]
    told = apprentice(
        *asked, "--temperature", "0.5", "--json", cwd=tmp_path,
        APPRENTICE_ENVIRONMENT__SETTINGS='{"max_receptacles": 6}',
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    first = json.loads(told.stdout)
    assert first["tasks"] == 4
    words = shlex.split(first["command"])
    variables = dict(each.split("=", 1) for each in words[: words.index("apprentice")])
    arguments = words[words.index("apprentice") + 1 :]
    again = apprentice(*arguments, "--json", cwd=tmp_path, **variables)
    second = json.loads(again.stdout)
    assert second["command"] == first["command"]
    for each in (first, second):
        for side in ("a", "b"):
            del each[side]["episodes"]
    assert second == first


def test_what_is_a_place_or_a_secret_is_not_in_the_command(tmp_path):
    config = load({"home": tmp_path / "home", "endpoint": {"api_key": "secret"}})
    asked = Question(a="random", b="random", split=Split.DEV, tasks=None, level=None)
    assert command(config, asked) == "apprentice exam --a random --b random --split dev --seed 0"


def test_the_same_contender_with_and_without_memory_is_loaded_once(tmp_path):
    from apprentice.gate.exam import seated

    config = load({"home": tmp_path})
    with seated(config, ("random", "random+memory")) as (bare, briefed):
        assert bare.rig.policy is briefed.rig.policy
        assert bare.rig.reminder is None
        assert briefed.rig.reminder is not None
