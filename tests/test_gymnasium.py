import gymnasium
import pytest
from gymnasium.spaces import Text
from gymnasium.utils.env_checker import check_env

from environments.bridges.gymnasium_export import ToGymnasium
from environments.check import check_environment
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.registry import open_environment

MADE = "environments.bridges.gymnasium_export:apprentice/household-v0"
EASY = {"train": 6, "dev": 3, "test": 3, "max_receptacles": 6, "max_objects": 8}


class Echo(gymnasium.Env):
    """Say the word that is shown."""

    observation_space = Text(20)
    action_space = Text(20)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.word = "".join(self.np_random.choice(list("abc"), 6))
        return self.word, {}

    def step(self, action):
        return "so be it", float(action == self.word), True, False, {}


gymnasium.register("Echo-v0", entry_point=Echo)

IMPORTED = {
    "frozen lake": {
        "id": "FrozenLake-v1",
        "options": {"render_mode": "ansi"},
        "actions": ("left", "down", "right", "up"),
        "counts": (1, 0, 0),
    },
    "taxi": {"id": "Taxi-v4", "options": {"render_mode": "ansi"}, "counts": (20, 5, 5)},
    "echo": {"id": "Echo-v0", "counts": (10, 3, 3)},
}


@pytest.mark.parametrize("name", IMPORTED)
def test_an_environment_of_gymnasium_keeps_our_contract(name):
    assert check_environment(open_environment("gymnasium", **IMPORTED[name]), per_split=9) == ()


def test_no_two_tasks_open_alike_even_where_seeds_do():
    world = open_environment("gymnasium", **IMPORTED["taxi"] | {"counts": (40, 8, 8)})
    openings = [
        world.start(task).observation.text for split in Split for task in world.tasks(split)
    ]
    assert len(set(openings)) == len(openings) == 56
    lake = open_environment("gymnasium", **IMPORTED["frozen lake"] | {"counts": (9, 9, 9)})
    assert [len(lake.tasks(split)) for split in Split] == [1, 0, 0]


def test_a_drawing_marks_in_words_what_it_marked_by_color():
    lake = open_environment("gymnasium", **IMPORTED["frozen lake"])
    play = lake.start(lake.tasks(Split.TRAIN)[0])
    assert play.observation.text.startswith("<red>SFFF\nFHFH\n")
    assert play.observation.admissible == ("down", "left", "right", "up")


def test_text_is_acted_upon_as_it_is_and_a_reward_at_the_end_solves():
    world = open_environment("gymnasium", **IMPORTED["echo"])
    task = world.tasks(Split.TRAIN)[0]
    word = world.start(task).observation.text.split("\n")[0]
    assert world.start(task).step(word).ending is Ending.SOLVED
    assert world.start(task).step("no").ending is Ending.FAILED


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"id": "Nowhere-v0"}, "Gymnasium cannot make 'Nowhere-v0'"),
        ({"id": "FrozenLake-v1"}, "wanted Text, or the option render_mode='ansi'"),
        (IMPORTED["frozen lake"] | {"actions": ("go",)}, "wanted 4 different names"),
    ],
)
def test_what_cannot_be_shown_or_done_in_words_is_told_in_a_line(settings, says):
    with pytest.raises(UserError) as error:
        open_environment("gymnasium", **settings)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_our_environment_passes_gymnasiums_own_check():
    made = gymnasium.make(MADE, **EASY)
    assert isinstance(made.unwrapped, ToGymnasium)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


def test_our_gold_actions_solve_it_through_gymnasium():
    made = gymnasium.make(MADE, **EASY)
    ours = open_environment("household", **EASY)
    for task in ours.tasks(Split.TRAIN):
        text, info = made.reset(options={"task": task.id})
        assert (info["task"], task.goal in text) == (task.id, True)
        for action in ours.gold(task):
            assert action in info["admissible"]
            _, reward, terminated, truncated, info = made.step(action)
        assert (reward, terminated, truncated, info["solved"]) == (1.0, True, False, True)


def test_a_seed_decides_the_tasks_and_the_split_bounds_them():
    made = gymnasium.make(MADE, split="dev", **EASY)
    dev = {task.id for task in open_environment("household", **EASY).tasks(Split.DEV)}
    first = [made.reset(seed=7)[1]["task"], *(made.reset()[1]["task"] for _ in range(5))]
    again = [made.reset(seed=7)[1]["task"], *(made.reset()[1]["task"] for _ in range(5))]
    assert first == again
    assert set(first) <= dev


def test_a_step_before_a_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded):
        gymnasium.make(MADE, **EASY).step("look")
