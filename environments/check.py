"""Does an environment keep the contract? Anyone who writes one can ask."""

from collections.abc import Iterator
from random import Random

from environments.environment import Environment, Play
from environments.episode import Ending, Split, Task
from environments.errors import UnknownNameError

RANDOM_STEPS = 12
"""Random actions per task: enough to leave the opening state in every world we know."""

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


def check_environment(environment: Environment, *, per_split: int = 3) -> tuple[str, ...]:
    """Return every rule of the contract that is broken, with where; empty if it is kept.

    Args:
        environment: the one to check.
        per_split: how many tasks of each split to play, spread over the split.
    """
    found: list[str] = list(_catalogue(environment))
    for split in Split:
        tasks = environment.tasks(split)
        stride = max(1, len(tasks) // per_split)
        for task in tasks[::stride][:per_split]:
            found.extend(f"{task.id}: {rule}" for rule in _task_rules(environment, task))
    return tuple(found)


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
    try:
        environment.task("no such task")
    except UnknownNameError:
        pass
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
    first = environment.start(task)
    if task.goal not in first.observation.text:
        yield GOAL_STATED
    if first.observation.ending is not None:
        yield BEGINS_OPEN
        return
    yield from _walk_rules(first, environment.start(task), Random(task.id))
    yield from _gold_rules(environment, task)


def _walk_rules(play: Play, twin: Play, rng: Random) -> Iterator[str]:
    for _ in range(RANDOM_STEPS):
        now = play.observation
        if now != twin.observation:
            yield SAME_AGAIN
        if list(now.admissible) != sorted(set(now.admissible)):
            yield SORTED
        if now.ending is not None or not now.admissible:
            break
        if twin.step(NONSENSE).admissible != now.admissible:
            yield NONSENSE_HARMLESS
        action = rng.choice(now.admissible)
        play.step(action)
        twin.step(action)
    for each in (play, twin):
        each.close()
        each.close()


def _gold_rules(environment: Environment, task: Task) -> Iterator[str]:
    gold = environment.gold(task)
    if gold is None:
        return
    play = environment.start(task)
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
    play.close()
