"""One attempt as it is laid before a critic: what was done, what others did, what stays secret."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from agent.critics.judge import anchor_of
from environments.episode import Ending, Episode
from memory.knowledge.items import Demonstration, Source
from memory.making.evidence import Evidence, gather


@dataclass(frozen=True, kw_only=True)
class Case:
    """An attempt with whatever is known of its task."""

    episode: Episode
    instructions: str = ""  # the rules of the world; empty: unknown
    siblings: tuple[Episode, ...] = ()  # other attempts at the same task, none of them broken
    demonstrations: tuple[Demonstration, ...] = ()  # of the same task
    gold: tuple[str, ...] = ()  # actions that solve it; the critic is not shown them
    past: tuple[str, ...] = ()  # names of policies that acted before; see `judge.anchor_of`

    def __post_init__(self) -> None:
        for other in (*self.siblings, *self.demonstrations):
            task = other.task if isinstance(other, Demonstration) else other.task.id
            if task != self.episode.task.id:
                raise ValueError(f"{other.id} is of task {task!r}, not {self.episode.task.id!r}")

    @cached_property
    def solutions(self) -> Mapping[str, Sequence[str]]:
        """Return the ways in which others solved the task, by who they are."""
        solved = {each.id: each.actions for each in self.siblings if each.ending is Ending.SOLVED}
        shown = {each.id: tuple(move.action for move in each.moves) for each in self.demonstrations}
        return {**solved, **shown}

    @cached_property
    def evidence(self) -> Evidence:
        return gather(self.episode, self.solutions)

    @property
    def seen(self) -> tuple[str, ...]:
        """Return all observations, the closing one last."""
        return (*(step.observation for step in self.episode.steps), self.episode.closing)

    def source(self, critic: str, made: datetime) -> Source:
        """Return the source of what a critic says of it: all that it was shown.

        Raises:
            HeldOutError: some of it is not of a train task.
        """
        anchor = anchor_of(critic, self.episode.policy, self.past)
        source = Source.of(self.episode, *self.siblings, critic=critic, anchor=anchor, made=made)
        told = (id for each in self.demonstrations for id in each.source.episodes)
        return replace(source, episodes=tuple(dict.fromkeys((*source.episodes, *told))))
