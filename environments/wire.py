"""Episodes as JSON and back: for the store, for checkpoints, for export."""

from typing import Any

from pydantic import TypeAdapter

from environments.episode import Episode, Step, Task

_EPISODE = TypeAdapter(Episode)
_STEP = TypeAdapter(Step)
_TASK = TypeAdapter(Task)


def episode_to_json(episode: Episode) -> bytes:
    """Return the episode as UTF-8 JSON."""
    return _EPISODE.dump_json(episode)


def episode_from_json(data: bytes | str) -> Episode:
    """Return the episode that `episode_to_json` wrote.

    Raises:
        pydantic.ValidationError: the data is no episode.
    """
    return _EPISODE.validate_json(data)


def step_to_plain(step: Step) -> dict[str, Any]:
    """Return the step as JSON-like values."""
    return _STEP.dump_python(step, mode="json")


def step_from_plain(data: dict[str, Any]) -> Step:
    """Return the step that `step_to_plain` took apart."""
    return _STEP.validate_python(data)


def task_to_plain(task: Task) -> dict[str, Any]:
    """Return the task as JSON-like values."""
    return _TASK.dump_python(task, mode="json")
