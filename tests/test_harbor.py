import pytest

from environments.check import check_environment
from environments.environment import Forkable
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.harbor.folder import needs_container
from environments.registry import open_environment
from greeting import GREETING, write
from sandboxes import needs_sandbox


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    for number in range(4):
        write(folder / f"greet-{number}", GREETING)
    write(folder / "with-packages", GREETING | {"environment/Dockerfile": "FROM x\nRUN apt-get\n"})
    write(folder / "without-tests", {"instruction.md": "Do."})
    return folder


@pytest.fixture(scope="module")
def world(tasks):
    return open_environment("harbor", games=tasks, seconds=30.0)


@pytest.fixture
def play(world):
    return world.start(world.tasks(Split.TRAIN)[0])


def say(play, *commands):
    """Return what the last of the commands showed."""
    return [play.step(command).text for command in commands][-1]


@needs_sandbox
def test_a_folder_of_tasks_keeps_the_contract(world):
    assert check_environment(world) == ()
    assert [len(world.tasks(split)) for split in Split] == [2, 1, 1]
    assert {task.kind for split in Split for task in world.tasks(split)} == {"files"}


@needs_sandbox
def test_the_solution_solves_and_doing_nothing_fails(world):
    task = world.tasks(Split.TRAIN)[0]
    play = world.start(task)
    assert say(play, *world.gold(task)) == "The tests pass."
    assert (play.observation.ending, play.observation.reward) == (Ending.SOLVED, 1.0)
    idle = world.start(task)
    assert idle.step("submit").ending is Ending.FAILED
    with pytest.raises(RuntimeError, match="over"):
        idle.step("ls")


@needs_sandbox
def test_commands_see_the_files_and_what_was_done_before_but_not_the_tests(play):
    assert say(play, "pwd; cat name.txt deep/note.txt") == "/app\nbob\nlook up\n[exit code 0]"
    assert say(play, "echo 5 > x; mkdir -p y/z", "cat x; ls -d y/z") == "5\ny/z\n[exit code 0]"
    assert "No such file" in say(play, "ls /tests/")


@needs_sandbox
def test_a_fork_keeps_its_own_files(play):
    play.step("echo 1 > x")
    assert isinstance(play, Forkable)
    twin = play.fork()
    twin.step("echo 2 > x")
    assert say(play, "cat x").startswith("1")
    assert say(twin, "cat x").startswith("2")


@needs_sandbox
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("kill -9 -1", "The command had no effect: it stopped the terminal."),
        ("head -c 25000000 /dev/zero > big", "The command had no effect: it left too much"),
        ("exit 7", "[exit code 7]"),
        ("sleep 60 & echo on", "on\n[exit code 0]"),
        ("yes | head -c 9000; echo end", "end\n[exit code 0]"),
    ],
)
def test_a_command_that_goes_wrong_harms_nothing(play, command, says):
    play.step("echo 1 > x")
    text = play.step(command).text
    assert says in text
    assert len(text) < 2100
    assert say(play, "cat x").startswith("1")


@needs_sandbox
def test_a_command_that_does_not_end_is_stopped(tasks):
    quick = open_environment("harbor", games=tasks, seconds=3.0)
    play = quick.start(quick.tasks(Split.TRAIN)[0])
    assert say(play, "echo 1 > x; sleep 60") == "[stopped: it took too long]"
    assert say(play, "cat x").startswith("1")


CHEATS = {
    "a reward written beforehand": "mkdir -p /logs/verifier; echo 1 > /logs/verifier/reward.txt",
    "tests of its own": "mkdir -p /tmp/tests; echo 'echo 1 > /logs/verifier/reward.txt'"
    " > /tmp/tests/test.sh",
    "a lasting process": "(while true; do echo 1 > /logs/verifier/reward.txt; done) & sleep 0.1",
}


@needs_sandbox
@pytest.mark.parametrize("name", CHEATS)
def test_the_reward_cannot_be_made_up(play, name):
    play.step(CHEATS[name])
    assert play.step("submit").ending is Ending.FAILED


@pytest.mark.parametrize(
    ("recipe", "needed"),
    [
        ("FROM debian:12\n", False),
        ("FROM debian:12\n\n# files\nCOPY . /app\nWORKDIR /app\nCMD bash\n", False),
        ("FROM debian:12\nRUN apt-get install -y gcc\n", True),
        ("FROM debian:12\nENV KEY=1\n", True),
        ("FROM debian:12\nWORKDIR /srv\n", True),
    ],
)
def test_a_recipe_that_does_more_than_copy_needs_a_container(tmp_path, recipe, needed):
    write(tmp_path, {"environment/Dockerfile": recipe})
    assert needs_container(tmp_path) is needed


@needs_sandbox
def test_a_folder_without_a_task_that_can_be_played_is_told_in_a_line(tmp_path):
    with pytest.raises(UserError, match=r"holds 0 tasks .* give a folder of such tasks"):
        open_environment("harbor", games=tmp_path)
    with pytest.raises(UserError, match="wanted a folder of tasks: --games folder"):
        open_environment("harbor")
