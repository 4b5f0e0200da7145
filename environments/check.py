"""Does an environment keep the contract? Anyone who writes one can ask."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from traceback import extract_tb

from environments.environment import Environment, Play
from environments.episode import Ending, Split, Task
from environments.errors import UnknownNameError, UserError

RANDOM_STEPS = 12
"""Random actions per task: enough to leave the opening state in every world we know."""

WHOLE = "an environment and its plays must have every part of the contract"
NO_CRASH = "an environment must raise nothing but what the contract names"
TRAINABLE = "tasks(train) must not be empty"
IDS_UNIQUE = "two tasks share an id"
IDS_FOUND = "task(id) must return the task that tasks(split) lists"
ID_UNKNOWN = "task(id) must raise UnknownNameError for an id that does not exist"
ORDER_STABLE = "tasks(split) must give the same tasks in the same order every time"
SPLIT_TRUE = "tasks(split) must list only tasks of that split"
NAME_TRUE = "each task must name its environment"
SPLITS_DISJOINT = "no task may be in two splits"
GOAL_STATED = "the first observation must state the goal"
BEGINS_OPEN = "a play must not be over before the first action"
SAME_AGAIN = "the same actions must give the same observations"
SORTED = "admissible actions must be sorted and distinct"
NONSENSE_HARMLESS = "an action that is not admissible must change nothing and not raise"
ENDED_REFUSES = "step() must raise RuntimeError after the end"
CLOSE_TWICE = "close() may be called twice"
GOLD_SOLVES = "the gold actions must solve the task, and each must be admissible"

WHY = {
    WHOLE: "All of them are called, sooner or later. close() may do nothing, gold() return None.",
    NO_CRASH: "An attempt that crashes teaches nothing. The place is in your code, or in what it "
    "called.",
    TRAINABLE: "Nothing could be practised. List tasks for Split.TRAIN at least.",
    IDS_UNIQUE: "Episodes and memories point to tasks by id; two would be taken for one.",
    IDS_FOUND: "A killed run finds its tasks again by id, and must find the same ones.",
    ID_UNKNOWN: "A slip in an id must be told, not answered with some task.",
    ORDER_STABLE: "A run plans its tasks from a seed. Return a tuple, and sort what comes from a "
    "set or a directory.",
    SPLIT_TRUE: "task.split says what a task may be used for: make it the split asked for.",
    NAME_TRUE: "Memory keeps worlds apart by it: Task(environment=self.name, ...).",
    SPLITS_DISJOINT: "What was practised must not decide or be reported: that would be cheating.",
    GOAL_STATED: "A policy reads observations only, so the first one has to contain task.goal, "
    "word for word.",
    BEGINS_OPEN: "An episode has at least one step: leave out tasks that begin solved.",
    SAME_AGAIN: "Resuming, replaying and looking ahead repeat actions. Draw randomness from the "
    "task's id; show no times, no addresses, nothing that other plays changed.",
    SORTED: "Lists are compared between episodes: sorted(set(actions)).",
    NONSENSE_HARMLESS: "Policies write nonsense all the time: answer it in words, and leave the "
    "state and the admissible actions as they were.",
    ENDED_REFUSES: "A step after the end is a bug of the caller; a silent answer would hide it.",
    CLOSE_TWICE: "Whoever cleans up after an error cannot know whether somebody already did.",
    GOLD_SOLVES: "Demonstrations and searches trust gold(): play it by hand and see where it parts "
    "from the game, or return None if there is none.",
}
"""Why each rule is one, and what to do where it is broken."""

NONSENSE = "sing a song to the moon 42"

PARTS = ("name", "instructions", "tasks", "task", "start", "gold")
PLAY_PARTS = ("observation", "step", "close")


def check_environment(environment: Environment, *, per_split: int = 3) -> tuple[str, ...]:
    """Return every rule of the contract that is broken, with where; empty if it is kept.

    Args:
        environment: the one to check.
        per_split: how many tasks of each split to play, spread over the split.
    """
    if lacking := _lacking(environment, PARTS):
        return (f"{lacking}: {WHOLE}",)
    return tuple(_guarded(_all_rules(environment, per_split)))


def _all_rules(environment: Environment, per_split: int) -> Iterator[str]:
    yield from _guarded(_catalogue(environment))
    for split in Split:
        tasks = environment.tasks(split)
        stride = max(1, len(tasks) // per_split)
        for task in tasks[::stride][:per_split]:
            yield from (f"{task.id}: {rule}" for rule in _guarded(_task_rules(environment, task)))


def _catalogue(environment: Environment) -> Iterator[str]:
    seen: dict[str, Split] = {}
    if not environment.tasks(Split.TRAIN):
        yield TRAINABLE
    for split in Split:
        tasks = environment.tasks(split)
        if list(tasks) != list(environment.tasks(split)):
            yield ORDER_STABLE
        for task in tasks:
            yield from (f"{task.id}: {rule}" for rule in _entry_rules(environment, task, split))
            if task.id in seen:
                yield f"{task.id}: {IDS_UNIQUE if seen[task.id] is split else SPLITS_DISJOINT}"
            seen[task.id] = split
    yield from _unknown_rules(environment)


def _unknown_rules(environment: Environment) -> Iterator[str]:
    try:
        environment.task("no such task")
    except UnknownNameError:
        return
    except Exception as error:  # noqa: BLE001 - see `_guarded`
        yield f"{_said(error)}: {ID_UNKNOWN}"
    else:
        yield ID_UNKNOWN


def _entry_rules(environment: Environment, task: Task, split: Split) -> Iterator[str]:
    if task.split is not split:
        yield SPLIT_TRUE
    if task.environment != environment.name:
        yield NAME_TRUE


def _task_rules(environment: Environment, task: Task) -> Iterator[str]:
    if environment.task(task.id) != task:
        yield IDS_FOUND
    play = environment.start(task)
    if lacking := _lacking(play, PLAY_PARTS):
        yield f"{lacking}: {WHOLE}"
        return
    if task.goal not in play.observation.text:
        yield GOAL_STATED
    if play.observation.ending is not None:
        yield BEGINS_OPEN
        play.close()
        return
    yield from _walk_rules(play, environment.start(task), Random(task.id))
    gold = environment.gold(task)
    if gold is not None:
        with closing(environment.start(task)) as play:
            yield from _gold_rules(play, gold)


def _walk_rules(play: Play, twin: Play, rng: Random) -> Iterator[str]:
    for _ in range(RANDOM_STEPS):
        now = play.observation
        if now != twin.observation:
            yield SAME_AGAIN
        if list(now.admissible) != sorted(set(now.admissible)):
            yield SORTED
        if now.ending is not None or not now.admissible:
            break
        yield from _nonsense_rules(twin, now.admissible)
        action = rng.choice(now.admissible)
        play.step(action)
        twin.step(action)
    for each in (play, twin):
        each.close()
        try:
            each.close()
        except Exception as error:  # noqa: BLE001 - see `_guarded`
            yield f"{_said(error)}: {CLOSE_TWICE}"


def _nonsense_rules(play: Play, admissible: tuple[str, ...]) -> Iterator[str]:
    try:
        if play.step(NONSENSE).admissible != admissible:
            yield NONSENSE_HARMLESS
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - see `_guarded`
        yield f"{_said(error)}: {NONSENSE_HARMLESS}"


def _gold_rules(play: Play, gold: tuple[str, ...]) -> Iterator[str]:
    for action in gold:
        admissible = play.observation.admissible
        if play.observation.ending is not None or (admissible and action not in admissible):
            yield GOLD_SOLVES
            return
        play.step(action)
    if play.observation.ending is not Ending.SOLVED:
        yield GOLD_SOLVES
        return
    try:
        play.step(NONSENSE)
    except RuntimeError:
        pass
    else:
        yield ENDED_REFUSES


def _lacking(thing: object, parts: Iterable[str]) -> str:
    """Return the names of the parts that something does not have; empty: it has all."""
    return ", ".join(f"no {part}" for part in parts if not hasattr(thing, part))


def _guarded(rules: Iterator[str]) -> Iterator[str]:
    """Pass broken rules on; that something crashes while they are looked at is one too."""
    try:
        yield from rules
    except UnknownNameError as error:
        yield f"{_said(error)}: {IDS_FOUND}"
    except UserError:
        raise  # a server is down, a package is missing: no rule is broken
    except Exception as error:  # noqa: BLE001 - whatever someone's code raises is a finding
        yield f"{_said(error)}: {NO_CRASH}"


def _said(error: Exception) -> str:
    """Return an error and where it was raised, on one line."""
    place = extract_tb(error.__traceback__)[-1]
    words = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__} {words!r} in {Path(place.filename).name}, line {place.lineno}"
