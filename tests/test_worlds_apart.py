import gc
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from environments.check import check_environment
from environments.environment import ongoing
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.household.household import Household
from environments.registry import describe, open_environment
from environments.worlds.child import Child, ChildError
from environments.worlds.lent import LentPlay, Pool
from installed import needs
from killed import TESTS, outlives
from real_games import PATH, needs_real_games

FEW = {
    "scienceworld": {"kinds": ("lifespan-longest-lived",), "train": 1, "dev": 1, "test": 1},
    "tau2": {},
    "textworld": {"kinds": ("treasure_hunter",), "train": 1, "dev": 1, "test": 1},
    "alfworld": {"train": 1, "dev": 1, "test": 1},
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in FEW])
def test_the_world_keeps_the_contract(name):
    assert check_environment(open_environment(name, **FEW[name]), per_split=1) == ()


def test_every_world_says_under_which_license_its_data_are():
    assert all(each.license for each in describe() if not each.package)


@pytest.fixture
def child(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    made = Child("echo_player", most_s=5)
    yield made
    made.close()


def test_a_child_answers_and_what_libraries_print_is_no_answer(child):
    assert child.ask({"begin": "a"})["text"] == "a"
    assert child.ask({"act": "b"})["text"] == "a b"
    assert child.ask({"begin": "c"})["text"] == "c"


def test_a_child_that_refuses_says_why_in_a_line_and_goes_on(child):
    child.ask({"begin": "a"})
    with pytest.raises(ChildError, match=r"^echo_player cannot go on: ValueError: not that$"):
        child.ask({"act": "refuse"})
    assert child.ask({"begin": "again"})["text"] == "again"


def test_a_child_that_died_is_told_in_a_line_with_its_last_words(child):
    with pytest.raises(ChildError) as error:
        child.ask({"begin": "die"})
    assert str(error.value) == f"echo_player (process {child.pid}) died: out of paper"
    with pytest.raises(ChildError, match="died"):
        child.ask({"begin": "a"})


def test_a_child_that_is_stuck_is_killed_and_told(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    child = Child("echo_player", most_s=1.5)
    with pytest.raises(ChildError, match="silent for"):
        child.ask({"begin": "sleep"})
    child.close()
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_child_ends_when_nobody_has_it_any_more(child):
    other = Child("echo_player")
    other.ask({"begin": "a"})
    pid = other.pid
    del other
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()
    assert Path(f"/proc/{child.pid}").exists()


def test_a_child_ends_with_a_killed_process():
    assert not outlives(
        "from environments.worlds.child import Child\n"
        "child = Child('echo_player')\nchild.ask({'begin': 'a'})\nprint(child.pid, flush=True)"
    )


class Counter:
    """An engine that counts, and that one word breaks."""

    def begin(self, game):
        self.count = game
        return ongoing(str(game), ("break", "count"))

    def act(self, action):
        if action == "break":
            raise ZeroDivisionError
        self.count += 1
        return ongoing(str(self.count), ("break", "count"))


def test_an_engine_is_lent_again_only_if_it_did_not_fail():
    made = []
    pool = Pool(lambda: made.append(Counter()) or made[-1], waits=False)
    first = LentPlay(pool, 5)
    assert first.step("count").text == "6"
    first.close()
    first.close()
    second = LentPlay(pool, 7)
    assert len(made) == 1
    with pytest.raises(ZeroDivisionError):
        second.step("break")
    with pytest.raises(RuntimeError, match="over"):
        second.step("count")
    second.close()
    assert LentPlay(pool, 1).step("count").text == "2"
    assert len(made) == 2


def test_a_lent_play_forks_into_an_engine_of_its_own():
    pool = Pool(Counter, waits=False)
    play = LentPlay(pool, 1)
    play.step("count")
    twin = play.fork()
    assert twin.step("count").text == "3"
    assert play.observation.text == "2"


@needs("tau2")
def test_the_records_and_what_the_customer_was_told_decide():
    world = open_environment("tau2")
    done = json.dumps({"name": "done", "arguments": {}})
    task = world.task("retail/0")
    play = world.start(task)
    assert play.step(done).ending is Ending.FAILED
    telling = next(
        task
        for task in world.tasks(Split.TRAIN)
        if any(action.startswith("For your information") for action in world.gold(task))
    )
    play = world.start(telling)
    for action in world.gold(telling):
        if not action.startswith("For your information"):
            play.step(action)
    assert play.observation.ending is Ending.FAILED


@needs("tau2")
def test_a_tool_that_does_not_fit_is_answered_and_changes_nothing():
    world = open_environment("tau2")
    task = world.task("retail/0")
    play = world.start(task)
    for call in (
        {"name": "fly", "arguments": {}},
        {"name": "get_order_details", "arguments": {"order_id": "none"}},
        {"name": "get_order_details", "arguments": {"wrong": 1}},
    ):
        assert play.step(json.dumps(call)).text.startswith("Error: ")
    for action in world.gold(task):
        play.step(action)
    assert play.observation.ending is Ending.SOLVED


@needs("tau2")
def test_the_customer_tells_more_once_or_is_somebody_who_is_asked():
    world = open_environment("tau2")
    play = world.start(world.task("retail/0"))
    assert "You do not remember your email address." in play.step("Who are you?").text
    assert "email" not in play.step("What is your email?").text
    asked = []

    def user(script, said):
        asked.append((script, said))
        return f"I said {len(said)} things."

    world = open_environment("tau2", user=user)
    texts = [world.start(world.task("retail/0")).step("Hello?").text for _ in range(2)]
    assert texts == ["The customer: I said 2 things."] * 2
    assert len(asked) == 1
    assert "clicky" in asked[0][0]
    assert asked[0][1][1] == "Hello?"


@needs("tau2")
@pytest.mark.slow
@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_gold_serves_every_customer(domain):
    world = open_environment("tau2", domain=domain)
    for task in (task for split in Split for task in world.tasks(split)):
        play = world.start(task)
        for action in world.gold(task):
            play.step(action)
        assert play.observation.ending is Ending.SOLVED, task.id


@needs("scienceworld")
@pytest.mark.slow
def test_experiments_that_are_done_at_once_go_as_those_done_alone():
    world = open_environment("scienceworld", train=1, dev=1, test=1)
    tasks = world.tasks(Split.TRAIN)

    def follow(task):
        play = world.start(task)
        seen = [play.observation, *(play.step(action) for action in world.gold(task))]
        play.close()
        return seen

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(follow, tasks))
    assert together == [follow(task) for task in tasks]
    assert {seen[-1].ending for seen in together} == {Ending.SOLVED}


@needs("scienceworld")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kinds": ("alchemy",)}, "no experiment of scienceworld 'alchemy'; known: boil, "),
        ({"simplifications": "hard"}, "simplifications are 'hard'; wanted some of easy,"),
    ],
)
def test_an_experiment_that_cannot_be_done_is_told_in_a_line(settings, says):
    with pytest.raises(UserError) as error:
        open_environment("scienceworld", **settings)
    assert says in str(error.value)


def differences(ours, theirs, task, steps):
    """Walk at random, then play gold, in both; give what is seen differently."""
    mine, official = ours.start(task), theirs.start(task)
    rng = Random(task.id)
    plan = [*[""] * steps, *ours.gold(task)]  # empty: any action
    for action in plan:
        if mine.observation != official.observation:
            yield f"{task.id}: {mine.observation} is not {official.observation}"
            break
        if mine.observation.ending is not None:
            break
        chosen = action or rng.choice(mine.observation.admissible)
        mine.step(chosen)
        official.step(chosen)
    yield from () if mine.observation == official.observation else (task.id,)
    mine.close()
    official.close()


@needs("alfworld")
@needs_real_games
@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 25], ids=["gold", "random walk, then gold"])
def test_the_official_engine_is_the_same_household(steps):
    ours = Household.from_games(PATH)
    theirs = open_environment("alfworld", games=PATH)
    assert theirs.name == ours.name
    assert theirs.tasks(Split.DEV) == ours.tasks(Split.DEV)
    chosen = Random(steps).sample(list(ours.tasks(Split.DEV)), 12)
    found = [each for task in chosen for each in differences(ours, theirs, task, steps)]
    assert found == []
