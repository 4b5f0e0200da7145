"""A model's opinion of attempts, as numbers: yes or no, a score, which of two, step by step.

Every question is a choice among a few answers, so any policy can be asked. Where it tells the
logprob of what it chose, a yes or no is known exactly from one answer (verification by logit, as
Song et al. 2025, arXiv:2412.02674); where it does not, the share of its votes is taken. What comes
of it is an opinion: its worth is measured elsewhere, against endings that the judge did not see.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import fmean

from agent.critics.prompts.judge import (
    SCORE,
    SERVED,
    SOLVED,
    SURE,
    WILL,
    after,
    of_one,
    of_two,
    texts,
)
from agent.endpoints.structured import Writer
from environments.anchor import Anchor
from environments.choose import choose
from environments.episode import Episode
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import Message, Turn

YES_NO, A_B = ("yes", "no"), ("A", "B")
SCORES = tuple(str(score) for score in range(1, 11))
PERCENTS = tuple(str(percent) for percent in range(0, 101, 10))

ROOM = 6_000
"""Characters of a record that a judge is shown, some 2,000 tokens: more than most episodes have."""

UNDECIDED = 0.5
"""What an answer that names no choice counts for, and how sure a yes must be to open a gate."""


@dataclass(frozen=True, slots=True)
class Rubric:
    """What an attempt met of some binary criteria. A gate, never a reward: sums are gamed."""

    criteria: tuple[str, ...]
    chances: tuple[float, ...]  # that each is met, in the judge's eyes

    @property
    def open(self) -> bool:
        """Whether every criterion is met."""
        return all(chance > UNDECIDED for chance in self.chances)


@dataclass(frozen=True, slots=True)
class Match:
    """Two attempts compared in both orders."""

    shown_first: float  # how far the first was preferred when it was shown first, 0 to 1
    shown_second: float  # and when it was shown second

    @property
    def first(self) -> float:
        """Return 1 where the first won in both orders, 0 where it lost in both, else 1/2."""
        if self.shown_first > UNDECIDED and self.shown_second > UNDECIDED:
            return 1.0
        if self.shown_first < UNDECIDED and self.shown_second < UNDECIDED:
            return 0.0
        return 0.5

    @property
    def bias(self) -> float:
        """Return how far whoever is shown first is preferred; a fair judge: 1/2."""
        return (self.shown_first + 1 - self.shown_second) / 2


def anchor_of(judge: str, policy: str, past: Sequence[str] = ()) -> Anchor:
    """Return what a judgment of this policy's work by this judge rests on.

    Args:
        judge: the name of who judged.
        policy: the name of who acted.
        past: the names of the policies that were promoted before the one that acts.
    """
    if judge == policy:
        return Anchor.SELF
    return Anchor.PAST_POLICY if judge in past else Anchor.THIRD_PARTY_JUDGE


class Judge:
    """Asks one writer, which may be any policy."""

    def __init__(self, writer: Writer, *, votes: int = 1, seed: int = 0, room: int = ROOM) -> None:
        """Say whom to ask, and how.

        Args:
            writer: the model. One whose temperature is 0 gives the same vote every time.
            votes: answers to a question where it tells no logprobs.
            seed: all the randomness of the answers.
            room: characters of the record that it is shown.
        """
        self._writer = writer
        self._votes = votes
        self._seed = seed
        self._room = room
        self.asked = 0  # answers, read or not
        self.unread = 0  # of them, those that named no choice

    @property
    def name(self) -> str:
        return self._writer.name

    async def passes(self, attempt: Episode) -> float:
        """Return how likely it holds that the attempt reached its goal, 0 to 1."""
        return await self._leans(of_one(attempt, SOLVED, self._room), YES_NO)

    async def finished(self, attempt: Episode, instructions: str) -> float:
        """Return the same, asked in the attempt's own transcript right after its last action."""
        return await self._leans(after(attempt, instructions), YES_NO)

    async def scores(self, attempt: Episode) -> float:
        """Return its mean score, 1 to 10."""
        return await self._mean(of_one(attempt, SCORE, self._room), SCORES)

    async def sure(self, attempt: Episode) -> float:
        """Return the confidence that it puts into words, 0 to 1."""
        return await self._mean(of_one(attempt, SURE, self._room), PERCENTS) / 100

    async def meets(self, attempt: Episode, criteria: Sequence[str]) -> Rubric:
        """Return which criteria the attempt meets, each a statement on its own."""
        questions = [of_one(attempt, question, self._room) for question in texts(criteria)]
        chances = await asyncio.gather(*(self._leans(told, YES_NO) for told in questions))
        return Rubric(tuple(criteria), tuple(chances))

    async def served(self, attempt: Episode) -> tuple[float, ...]:
        """Return for every step how likely it holds that the step served the goal."""
        leanings = (self.served_at(attempt, place) for place in range(len(attempt.steps)))
        return tuple(await asyncio.gather(*leanings))

    async def served_at(self, attempt: Episode, place: int) -> float:
        """Return how likely it holds that one step, counted from 0, served the goal."""
        action = attempt.steps[place].action or "no legal action"
        question = SERVED.format(place=place, action=action)
        return await self._leans(of_one(attempt, question, self._room), YES_NO)

    async def beliefs(self, attempt: Episode) -> tuple[float, ...]:
        """Return how likely success seems before the first step and after each of them."""
        so_far = (
            replace(attempt, steps=attempt.steps[:count]) for count in range(len(attempt.steps) + 1)
        )
        asked = (self._leans(of_one(each, WILL, self._room), YES_NO) for each in so_far)
        return tuple(await asyncio.gather(*asked))

    async def compares(self, first: Episode, second: Episode) -> Match:
        """Return how two attempts at one task compare, each shown first once.

        Raises:
            ValueError: they are attempts at different tasks.
        """
        if first.task.id != second.task.id:
            raise ValueError(f"{first.id} and {second.id} are attempts at different tasks")
        in_order, reversed_ = await asyncio.gather(
            self._leans(of_two(first, second, self._room), A_B),
            self._leans(of_two(second, first, self._room), A_B),
        )
        return Match(in_order, 1 - reversed_)

    async def _leans(self, told: tuple[Message, ...], options: tuple[str, str]) -> float:
        """Return how far it leans to the first of two options, 0 to 1."""
        vote = await self._vote(told, options, 0)
        if vote.chance is not None:
            return vote.chance if vote.choice == options[0] else 1 - vote.chance
        others = (self._vote(told, options, number) for number in range(1, self._votes))
        votes = [vote, *await asyncio.gather(*others)]
        return fmean(
            UNDECIDED if each.choice is None else float(each.choice == options[0]) for each in votes
        )

    async def _mean(self, told: tuple[Message, ...], options: Sequence[str]) -> float:
        """Return the mean of the numbers it chose; the middle one where none could be read."""
        asked = (self._vote(told, options, number) for number in range(self._votes))
        votes = await asyncio.gather(*asked)
        read = [float(vote.choice) for vote in votes if vote.choice is not None]
        return fmean(read) if read else (float(options[0]) + float(options[-1])) / 2

    async def _vote(
        self, told: tuple[Message, ...], options: Sequence[str], number: int
    ) -> "_Vote":
        about = f"judge/{derive(*(message.text for message in told)):016x}/{number}"
        turn = Turn(
            messages=told,
            admissible=tuple(options),
            seed=derive(self._seed, about),
            episode=about,
        )
        self.asked += 1
        try:
            said = await self._writer.complete(turn)
        except ContextFullError:
            said = None  # whoever cannot read the whole record has no opinion of it
        choice = None if said is None else choose(said.text, options)
        if said is None or choice is None:
            self.unread += 1
            return _Vote(None, None)
        return _Vote(choice, exp(sum(said.logprobs)) if said.logprobs else None)


@dataclass(frozen=True, slots=True)
class _Vote:
    choice: str | None  # None: none could be read
    chance: float | None  # with which it was chosen; None: the model does not tell
