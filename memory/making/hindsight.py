"""What an attempt solved without being asked to: the world says which tasks, and plays them again.

So a failure is a demonstration too, of something else (Andrychowicz et al. 2017, arXiv:1707.01495).
Every other task is played from its start with the attempt's own actions; what does not solve it is
left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from environments.environment import Environment, Retrospective
from environments.episode import Ending, Episode, Step, Task


def retold(episode: Episode, environment: Environment) -> Iterator[Episode]:
    """Yield an attempt as solved episodes of the tasks that it happened to solve."""
    if not isinstance(environment, Retrospective):
        return
    for task in environment.achieved(episode):
        if task.id != episode.task.id and (told := _acted(episode, task, environment)):
            yield told


def _acted(episode: Episode, task: Task, environment: Environment) -> Episode | None:
    """Return the episode as one of another task, up to where it is solved."""
    play, steps = environment.start(task), list[Step]()
    for step in episode.steps:
        seen = play.observation
        if seen.ending is not None or step.action is None:
            break
        after = play.step(step.action)
        told = replace(step, observation=seen.text, admissible=seen.admissible)
        steps.append(replace(told, reward=after.reward))
    play.close()
    if not steps or play.observation.ending is not Ending.SOLVED:
        return None
    return _of(episode, task, steps, play.observation.text)


def _of(episode: Episode, task: Task, steps: Sequence[Step], closing: str) -> Episode:
    name = f"{episode.id}~{task.id}"
    return replace(
        episode, id=name, task=task, steps=tuple(steps), ending=Ending.SOLVED, closing=closing
    )
