"""A model that says why an attempt went as it went, several times over, and is believed with care.

One answer feeds three channels: a score, a hint for this task, a lesson for others. What is said
is held against the record (`agent.critics.scrutiny`); what remains is still an opinion, so it is
stored with the anchor of an opinion and its lesson as a candidate.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from types import MappingProxyType

from agent.critics.case import Case
from agent.critics.prompts.critic import ROOM, messages
from agent.critics.scrutiny import Advice, Answer, Opinion, Rejection, scrutinize
from agent.critics.tagging import Tagging, tag
from agent.endpoints.endpoint import ReplyError
from agent.endpoints.structured import OverlongError, Writer, ask
from environments.episode import Episode
from environments.seed import derive
from memory.knowledge.items import Critique, Item
from memory.proof.votes import majority

VOTES = 3
"""Answers asked for. One is OpenClaw-RL's first setting, three its second (arXiv:2603.10165)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criticism:
    """What came of asking."""

    critique: Critique | None  # None: no answer was believed
    advice: Advice | None = None  # for a lesson; None: none was believed, or the votes disagree
    rejections: Mapping[Rejection, int] = field(default_factory=lambda: MappingProxyType({}))


class Critic:
    """Asks one writer, which may be any policy."""

    def __init__(
        self, writer: Writer, *, votes: int = VOTES, seed: int = 0, room: int = ROOM
    ) -> None:
        """Say whom to ask, and how.

        Args:
            writer: the model.
            votes: answers to ask for.
            seed: all the randomness of the answers.
            room: characters of the record that it is shown.
        """
        self._writer = writer
        self._votes = votes
        self._seed = seed
        self._room = room

    @property
    def name(self) -> str:
        return self._writer.name

    async def criticize(self, case: Case, made: datetime) -> Criticism:
        """Return what the writer says of a case, as far as it can be believed.

        Raises:
            HeldOutError: the case is of a task kept for the exam; nobody is asked.
            UserError: the writer cannot answer, and someone can mend that.
        """
        source = case.source(self.name, made)
        heard = await asyncio.gather(*(self._hear(case, vote) for vote in range(self._votes)))
        rejections = Counter(chain.from_iterable(faults for _, faults in heard))
        opinions = [opinion for opinion, _ in heard if opinion is not None]
        if not opinions:
            return Criticism(critique=None, rejections=rejections)
        votes = tuple(opinion.score for opinion in opinions)
        score = majority(votes)
        spoken, advice = _directive([each for each in opinions if each.score == score])
        critique = Critique(
            episode=case.episode.id,
            score=score,
            votes=votes,
            hint=spoken.hint if spoken else "",
            citations=(spoken or opinions[0]).citations,
            source=source,
        )
        return Criticism(critique=critique, advice=advice, rejections=rejections)

    async def tag(self, episode: Episode, items: Sequence[Item]) -> Tagging:
        """Return whether what memory said before an attempt helped it, in the writer's opinion.

        Raises:
            UserError: the writer cannot answer, and someone can mend that.
        """
        return await tag(
            episode, items, self._writer, votes=self._votes, seed=self._seed, room=self._room
        )

    async def _hear(self, case: Case, vote: int) -> tuple[Opinion | None, Sequence[Rejection]]:
        about = f"{case.episode.id}/critic/{vote}"
        seed = derive(self._seed, about)
        told = messages(case, self._room)
        try:
            answer = await ask(self._writer, told, Answer, seed=seed, about=about)
        except OverlongError:
            return None, (Rejection.OVERLONG,)
        except ReplyError:
            return None, (Rejection.MALFORMED,)
        return scrutinize(answer, case)


def _directive(agreeing: Sequence[Opinion]) -> tuple[Opinion | None, Advice | None]:
    """Return the opinion whose hint and citations are kept, and the advice for a lesson.

    Only of those that voted as the majority did. The one with advice comes first, so that the
    citations are what the lesson rests on, then the longest hint (OpenClaw-RL's first filter).
    """
    if not agreeing:
        return None, None
    best = max(agreeing, key=lambda each: (each.lesson is not None, len(each.hint)))
    return best, best.lesson
