"""An episode as the sequence that is trained on: its tokens, and each choice among which others.

The recorded ids are used as they were sampled, and what was allowed is found by the walk that
acting makes, so the trained distribution is the one that acted. The loss mask is who wrote it.
Knows no tensors.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import nan
from typing import TypeAlias

from distill.sequences.batch import Source
from distill.sequences.render import Renderer, Rendering
from distill.sequences.trie import Decision
from environments.episode import Ending, Episode, Split, Step
from environments.errors import UserError
from environments.transcript import Message, Origin, retell


class Reason(StrEnum):
    """Why something given to train on is not trained on."""

    BROKEN = "the episode broke"
    EMPTY = "the episode has no steps"
    TOO_LONG = "longer than the context"
    NOT_RERENDERED = "its tokens are not those of this model's rendering"
    NOT_RECORDED = "no logprobs were recorded"
    NO_CHOICE = "every token was forced, or none is to be imitated"
    EMPTY_GROUP = "no attempt of the group is usable"
    LONE_ATTEMPT = "the only attempt of its group"
    EVEN_GROUP = "all rewards of the group are equal"
    STALE = "made by another policy, or too many trainings ago"


Dropped: TypeAlias = Counter[Reason]
"""How many were left out, by reason."""


class HeldOutError(UserError, ValueError):
    """Something that may only be examined was given to train on."""

    def __init__(self, episode: Episode) -> None:
        super().__init__(
            f"episode {episode.id!r} is of a {episode.task.split} task; "
            f"only {Split.TRAIN} tasks may be trained on: leave it out"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An episode, and how it is to be read."""

    episode: Episode
    source: Source = Source.ROLLOUT
    imitated: tuple[bool, ...] = ()  # by step, False: read but not learned; empty: all are learned
    briefed: bool = True  # False: without what memory said, so that it moves into the weights
    hint: str = ""  # what a teacher reads before the first step, and the student never does


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A sequence up to its last decision."""

    episode: str  # id
    ids: tuple[int, ...]
    decisions: tuple[Decision, ...]  # at least one, ascending in position
    sampled: tuple[float, ...]  # nats, one per decision; NaN where nobody sampled from this prompt
    temperature: float  # of the distribution that was sampled from and is trained
    source: Source


@dataclass(frozen=True, slots=True)
class Encoder:
    """Reads episodes of one environment for one model."""

    renderer: Renderer
    instructions: str  # the environment's
    length: int  # tokens; what is longer is dropped, never cut: its reward is at the end
    vocabulary: int  # tokens the model knows

    def encode(self, reading: Reading) -> Encoded | Reason:
        """Return the sequence, or why there is none.

        Raises:
            HeldOutError: the episode is of a task that may not be trained on.
        """
        episode = reading.episode
        refusal = self._refusal(reading)
        if refusal is not None:
            return refusal
        rendering = self.renderer.render(self._messages(reading))
        chosen = list(self._chosen(rendering, reading))
        if not chosen:
            return Reason.NO_CHOICE
        stop = chosen[-1][0].position + 1
        if stop > self.length:
            return Reason.TOO_LONG
        sampled = reading.source is not Source.DEMONSTRATION
        return Encoded(
            episode=episode.id,
            ids=rendering.ids[:stop],
            decisions=tuple(decision for decision, _ in chosen),
            sampled=tuple(logprob for _, logprob in chosen),
            temperature=(episode.temperature or 1.0) if sampled else 1.0,
            source=reading.source,
        )

    def _refusal(self, reading: Reading) -> Reason | None:
        episode = reading.episode
        if episode.task.split is not Split.TRAIN:
            raise HeldOutError(episode)
        if episode.ending is Ending.BROKEN:
            return Reason.BROKEN
        if not episode.steps:
            return Reason.EMPTY
        if reading.source is Source.DEMONSTRATION:  # text will do
            return None
        if not all(step.completion.logprobs for step in episode.steps):
            return Reason.NOT_RECORDED
        return None if self._rerenders(episode) else Reason.NOT_RERENDERED

    def _rerenders(self, episode: Episode) -> bool:
        """Whether the recorded tokens are what this renderer says, prompts included."""
        spans = self.renderer.render(retell(episode, self.instructions)).spans
        return all(
            self._ours(step) and step.completion.prompt_tokens in (0, start)
            for step, (start, _) in zip(episode.steps, spans, strict=True)
        )

    def _ours(self, step: Step) -> bool:
        ids = step.completion.token_ids
        return max(ids, default=-1) < self.vocabulary and (
            self.renderer.text(ids) == step.completion.text
        )

    def _messages(self, reading: Reading) -> tuple[Message, ...]:
        episode = reading.episode
        if reading.source is Source.DEMONSTRATION and not self._rerenders(episode):
            episode = replace(episode, steps=tuple(map(_retokenised, episode.steps)))
        messages = retell(episode, self.instructions, briefed=reading.briefed)
        if not reading.hint:
            return messages
        after = next(i for i, each in enumerate(messages) if each.origin is Origin.TASK) + 1
        return (*messages[:after], Message(Origin.CRITIQUE, reading.hint), *messages[after:])

    def _chosen(self, rendering: Rendering, reading: Reading) -> Iterator[tuple[Decision, float]]:
        """Yield each decision to learn from, with the logprob it was sampled with."""
        steps = reading.episode.steps
        imitated = reading.imitated or (True,) * len(steps)
        known = reading.source is Source.ROLLOUT
        for step, span, wanted in zip(steps, rendering.spans, imitated, strict=True):
            if not wanted:
                continue
            here = replace(rendering, spans=(span,))
            logprobs = step.completion.logprobs if known else ()
            for decision in self.renderer.decisions(here, [step.admissible]):
                yield decision, logprobs[decision.position - span[0]] if logprobs else nan


def _retokenised(step: Step) -> Step:
    completion = replace(step.completion, token_ids=(), logprobs=())
    return replace(step, completion=completion)
