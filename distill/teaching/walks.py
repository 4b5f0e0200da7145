"""What random walks did, as plans: tasks that nobody had to show.

Few demonstrations show few things, and who saw few things takes the wrong ones. A walk at random
solves something too, if not what was asked (hindsight: Andrychowicz et al. 2017, arXiv:1707.01495);
cut to the steps that mattered and played again it is a plan like any other. It costs no model, and
there are as many as there are train tasks (docs/log.md, 2026-12-01).
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from random import Random

from environments.environment import Environment
from environments.episode import Completion, Ending, Episode, Step, Task
from environments.untried import untried
from memory.making.hindsight import retold
from memory.making.prune import prune

STEPS = 30
"""Of a walk. In the easiest rooms every fourth then solves something."""

WALKER = "random"
"""The name under which walks acted."""


def found_walking(
    environment: Environment, task: Task, *, rng: Random, now: datetime
) -> Iterator[tuple[Task, tuple[str, ...]]]:
    """Yield the tasks that one walk through a task's place solved, each with a plan that is proven.

    Without actions to choose from nobody can walk, and nothing is found.
    """
    walk = _walked(environment, task, rng, now)
    solved = [walk] if walk.solved else []
    for each in (*solved, *retold(walk, environment)):
        pruned = prune(each, environment)
        if pruned.replayed:
            yield each.task, tuple(move.action for move in pruned.moves)


def _walked(environment: Environment, task: Task, rng: Random, now: datetime) -> Episode:
    steps: list[Step] = []
    with closing(environment.start(task)) as play:
        while play.observation.ending is None and len(steps) < STEPS:
            seen = play.observation
            if not seen.admissible:
                break
            action = rng.choice(untried(seen.text, seen.admissible, steps))
            steps.append(
                Step(
                    observation=seen.text,
                    admissible=seen.admissible,
                    completion=Completion(text=action),
                    action=action,
                    reward=play.step(action).reward,
                )
            )
        end = play.observation
    return Episode(
        id=f"{WALKER}-{rng.getrandbits(64):016x}",
        task=task,
        steps=tuple(steps),
        ending=end.ending or Ending.TRUNCATED,
        closing=end.text,
        policy=WALKER,
        seed=0,
        started=now,
        seconds=0.0,
    )
