"""Our environments for verifiers 0.4 (its v1): a task set, and how an episode of it goes.

verifiers pins other generations of `openai` and `mcp` than we do, so it lives in an environment of
its own, where this folder needs nothing but pydantic. It finds task sets by the name of a module at
the top level: two lines of one's own that import these two classes and list them in `__all__`.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from environments.bridges.words import shown
from environments.choose import choose
from environments.environment import Play
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.registry import open_environment
from environments.transcript import NOT_AN_ACTION


class MissingVerifiersError(UserError, ImportError):
    """The library is not installed here, and cannot be beside us."""

    def __init__(self) -> None:
        super().__init__(
            "verifiers is not installed here; it needs an environment of its own, and there: "
            "pip install verifiers==0.4.0 uv && pip install --no-deps . (in this checkout)"
        )


def _library() -> Any:  # noqa: ANN401 - not installed where types are checked
    try:
        return import_module("verifiers.v1")
    except ImportError:
        raise MissingVerifiersError from None


vf = _library()


class WorldConfig(vf.TasksetConfig):
    """Which tasks: `--env.taskset.world household --env.taskset.split dev`."""

    world: str = "household"
    split: Split = Split.TRAIN
    games: Path | None = None
    settings: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it


class WorldTask(vf.Task[vf.TaskData, vf.State, vf.TaskConfig]):
    """A task of ours; its id is in the data, and what it is worth is said by the world."""


class World(vf.Taskset[WorldTask, WorldConfig]):
    """A split of one of our environments."""

    def __init__(self, config: WorldConfig) -> None:
        super().__init__(config)
        self.environment = open_environment(config.world, games=config.games, **config.settings)

    def load(self) -> Iterator[WorldTask]:
        for task in self.environment.tasks(self.config.split):
            play = self.environment.start(task)
            first = shown(play.observation)
            play.close()
            yield WorldTask(
                vf.TaskData(
                    id=task.id,
                    name=f"{task.kind}: {task.goal}",
                    system_prompt=self.environment.instructions,
                    prompt=first,
                ),
                self.config.task,
            )


class EpisodeConfig(vf.EnvConfig):
    """Who plays: a model that only talks, so it needs no machine of its own to be shut into."""

    player: vf.AgentConfig = vf.AgentConfig(  # pyright: ignore[reportInvalidTypeForm] - see above
        harness={"id": "null"}, runtime={"type": "subprocess"}
    )


class Episode(vf.Env[EpisodeConfig]):
    """One task: the model acts, the world answers as its user, until one of them ends it."""

    async def run(self, task: Any, agents: Any) -> None:  # noqa: ANN401 - the library's own
        world = self.taskset.environment
        play = world.start(world.task(task.data.id))
        reward = 0.0
        try:
            async with agents.player.interaction(task) as exchange:
                said = await exchange.turn()
                while not said.terminated:
                    answer, gained = act(play, said.last_reply)
                    reward += gained
                    if play.observation.ending is not None:
                        break
                    said = await exchange.turn(answer)
        finally:
            play.close()
        if not exchange.trace.errors:  # what broke is worth nothing, not even a zero
            exchange.trace.record_reward("reward", reward)
            exchange.trace.record_metric("solved", play.observation.ending is Ending.SOLVED)


def act(play: Play, reply: str) -> tuple[str, float]:
    """Take the action that a reply means; return what is told then, and the reward of the step."""
    action = choose(reply, play.observation.admissible)
    if action is None:
        return NOT_AN_ACTION, 0.0
    seen = play.step(action)
    return shown(seen), seen.reward
