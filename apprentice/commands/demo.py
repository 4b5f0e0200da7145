"""`apprentice demo`: the road end to end, on what ships with the project, while you watch."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from agent.attempt import Attempt
from apprentice.acting import settled
from apprentice.build import make_rig
from apprentice.commands.run import comparison, new_run, practise
from apprentice.config import Config
from apprentice.report import Summary
from apprentice.terminal import Bar, Lines, aside, ending, inert, out, say_json, tell
from environments.episode import Episode, Split, Step

SMALL_ROOMS: Mapping[str, Any] = {"max_receptacles": 6}
"""Few places to look: an untrained model has a chance, and a game takes seconds."""


def demo(config: Config, episodes: int, *, as_json: bool) -> None:
    """Let the configured policy and a random one play the same games, and compare them."""
    world = config.environment
    if world.games is None and not world.settings:
        world = world.model_copy(update={"settings": dict(SMALL_ROOMS)})
    config = config.model_copy(update={"environment": world})
    summaries = list(_played(config, episodes))
    if as_json:
        say_json([summary.to_json() for summary in summaries])
        return
    console = out()
    console.print(comparison(summaries))
    console.print("every episode is kept; look at them: apprentice episodes list")


def _played(config: Config, episodes: int) -> Iterator[Summary]:
    for use in (config.policy.use, "random"):
        actor = config.policy.model_copy(update={"use": use})
        chosen = settled(config.model_copy(update={"policy": actor}))
        aside().print(Text(f"{use} plays {episodes} games of {config.environment.name}"))
        run = new_run(chosen, Split.TRAIN, episodes)
        watched_by = Narrator if use == config.policy.use else _unseen
        with make_rig(chosen) as rig:
            yield practise(chosen, run, rig, fresh=True, watched_by=watched_by)


class Narrator:
    """Tells the first episode step by step, above the progress of all."""

    def __init__(self, shown: Bar | Lines) -> None:
        self._shown, self._followed, self._steps = shown, "", 0

    def step(self, attempt: Attempt, step: Step) -> None:
        self._followed = self._followed or attempt.id
        if attempt.id == self._followed:
            self._steps += 1
            tell(self._shown.console, self._steps, step)
        self._shown.step(attempt, step)

    def episode(self, episode: Episode) -> None:
        if episode.id == self._followed:
            self._shown.console.print(Text(inert(f"    {episode.closing}")))
            self._shown.console.print(ending(episode.ending))
        self._shown.episode(episode)


def _unseen(shown: Bar | Lines) -> Bar | Lines:
    return shown
