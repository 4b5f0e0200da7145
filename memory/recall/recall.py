"""Which memories are shown before a task, within a budget of tokens, and which one is left out.

Pure decisions: no model, no database, no clock. Shape suffixes: C candidates, D numbers in a
vector.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.index.exact import Floats
from memory.knowledge.items import Item, Lesson, Skill
from memory.recall.briefing import Rendering

Scores: TypeAlias = NDArray[np.float64]

FUSION = 60
"""The constant of reciprocal rank fusion: how little the first rank stands out (Cormack et al.
2009, who found 60 near the best on four collections)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An item that may be shown, with what is known of it for this task."""

    item: Item
    similarity: float  # cosine to the task
    vector_D: Floats = field(repr=False, compare=False)  # unit length
    word_rank: int | None = None  # 1: fits the words best; None: the words did not find it
    worth: float | None = None  # what it did for success; None: not known yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What is preferred. The budget and the share left out are not matters of taste."""

    floor: float = 0.4  # cosine at or below which likeness is noise (SkillRL's delta)
    meant: int = 2  # items below it that are recalled because they are meant for such tasks
    most: int = 6  # items, or items of the task's type (SkillRL's K)
    general: int = 6  # general items that SkillRL's strategies show beside (its top_k)
    worth: float = 0.5  # weight of worth, the rest is relevance (MemRL: 0.5); 0: worth is ignored
    novelty: float = 0.3  # weight of being unlike what is shown already; 0: near-duplicates pile up


class Silence(StrEnum):
    """Why nothing is shown."""

    EMPTY = "empty"  # there is nothing to choose from
    UNLIKE = "unlike"  # nothing is similar enough
    BUDGET = "budget"  # nothing fits
    LOT = "lot"  # the only item was left out by lot


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One item that a strategy chose, and what the lot decided."""

    item: Item
    score: float  # by which the strategy ranked it; comparable within one recall only
    similarity: float
    worth: float | None
    shown: bool  # False: left out by lot
    propensity: float  # chance with which the lot shows it; 1: no lot was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """What memory says before one task, and the numbers that made it."""

    strategy: str
    choices: tuple[Choice, ...]  # shown or left out, the best first
    briefing: str  # empty: the prompt is as without memory
    tokens: int  # of the briefing
    silence: Silence | None  # None: something is shown

    @property
    def shown(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.shown)

    @property
    def left_out(self) -> Choice | None:
        """Return the item left out by lot, or None."""
        return next((choice for choice in self.choices if not choice.shown), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a briefing may take, and how it is written."""

    render: Rendering
    count_tokens: Callable[[str], int]
    budget: int  # tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """By chance, one item is left out, so that its effect can be told from the task's."""

    share: float = 0.1  # of recalls; 0: never
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"a share of {self.share!r} is left out; it must be in [0, 1)")


Pick: TypeAlias = tuple[Candidate, float]
"""A candidate and the score it was ranked by."""

Strategy: TypeAlias = Callable[[str, Sequence[Candidate], Taste], list[Pick]]
"""From the task's type and the candidates to those worth showing, the best first."""


def recall(
    kind: str,
    candidates: Sequence[Candidate],
    *,
    strategy: str,
    taste: Taste,
    space: Space,
    lot: Lot,
) -> Recollection:
    """Return what to say before a task of this type.

    The strategy ranks, the budget cuts, and the lot comes last: which item it leaves out changes
    nothing about the others, so the propensities are exact.
    """
    picks = STRATEGIES[strategy](kind, candidates, taste)
    choices = _drawn(_fitting(picks, space, lot), lot)
    shown = [choice.item for choice in choices if choice.shown]
    briefing = space.render(shown)
    return Recollection(
        strategy=strategy,
        choices=choices,
        briefing=briefing,
        tokens=space.count_tokens(briefing) if briefing else 0,
        silence=None if shown else _silence(candidates, picks, choices),
    )


def on_trial(item: Item, others: Sequence[Item], space: Space) -> str | None:
    """Return a briefing of an item that has to prove itself and of those others that fit beside it.

    None: it does not fit by itself, and could never be shown.
    """
    kept = [item]
    if not _fits(kept, space):
        return None
    for other in others:
        if _fits([*kept, other], space):
            kept.append(other)
    return space.render(kept)


def relevant_and_worthy(kind: str, candidates: Sequence[Candidate], taste: Taste) -> list[Pick]:
    """Return what is like the task or meant for it, by relevance and worth, each unlike the others.

    MemRL's two phases (arXiv:2601.03192): a floor, then z(relevance) + z(worth). Relevance is the
    reciprocal rank fusion of meaning and words instead of the cosine alone. An item of unknown
    worth counts as average, so it is neither favored nor buried.

    We part from it for advice. A goal is like the goals of demonstrations, but advice for any task
    of a world is no more like a goal of it than advice about boats (0.09 against 0.05 on average,
    tests/test_recall_scope.py), whatever part of it is embedded. So advice that says it is
    for such tasks passes below the floor, the few that are worth most, as of average relevance.
    """
    like = in_order([each for each in candidates if each.similarity > taste.floor])
    average = _mean([each.worth for each in candidates if each.worth is not None])
    meant = _meant(kind, candidates, taste, average)
    able = [*like, *meant]
    if not able:
        return []
    relevance_C = np.concatenate([standardized(_fused(like)), np.zeros(len(meant))])
    worth_C = np.array([average if each.worth is None else each.worth for each in able])
    score_C = (1 - taste.worth) * relevance_C + taste.worth * standardized(worth_C)
    return _diverse(able, score_C, taste)


def template(kind: str, candidates: Sequence[Candidate], taste: Taste) -> list[Pick]:
    """Return all of a type and the first general ones, as SkillRL's default retrieval.

    First by id. Its five first mistakes are lessons here, and so among these (arXiv:2602.08234).
    """
    own = sorted((each for each in candidates if each.item.kind == kind), key=_id)
    return [(each, each.similarity) for each in [*_general(candidates, taste), *own]]


def embedding(kind: str, candidates: Sequence[Candidate], taste: Taste) -> list[Pick]:
    """Return the first general ones and the K of the task's type that are nearest and above delta.

    SkillRL's paper; its released code knows no delta and takes K across all types.
    """
    own = in_order(
        [each for each in candidates if each.item.kind == kind and each.similarity > taste.floor]
    )
    return [(each, each.similarity) for each in [*_general(candidates, taste), *own[: taste.most]]]


STRATEGIES: dict[str, Strategy] = {
    "worth": relevant_and_worthy,
    "template": template,
    "embedding": embedding,
}


def in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return them nearest first; equals by id, so that the order of a bank never shows."""
    return sorted(candidates, key=lambda each: (-each.similarity, each.item.id))


def standardized(value_C: Scores) -> Scores:
    """Return z-scores; zeros where all are equal, so what tells nothing apart has no say.

    >>> standardized(np.array([1.0, 3.0])).tolist(), standardized(np.array([2.0, 2.0])).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """
    spread = value_C.std() if len(value_C) else 0.0
    return (value_C - value_C.mean()) / spread if spread > 0 else np.zeros_like(value_C)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _meant(
    kind: str, candidates: Sequence[Candidate], taste: Taste, average: float
) -> list[Candidate]:
    """Return the advice below the floor for this type of task or any, what is worth most first."""
    able = [
        each
        for each in candidates
        if each.similarity <= taste.floor
        and isinstance(each.item, Lesson | Skill)
        and each.item.kind in ("", kind)
    ]
    able = in_order(able)
    able.sort(key=lambda each: -(average if each.worth is None else each.worth))
    return able[: taste.meant]


def _id(candidate: Candidate) -> str:
    return candidate.item.id


def _general(candidates: Sequence[Candidate], taste: Taste) -> list[Candidate]:
    general = (each for each in candidates if not each.item.kind)
    return sorted(general, key=_id)[: taste.general]


def _fused(able: Sequence[Candidate]) -> Scores:
    """Return 1 / (60 + rank) summed over both lists; what the words did not find gets one term."""
    fused = [1 / (FUSION + place) for place in range(1, len(able) + 1)]
    for place, each in enumerate(able):
        if each.word_rank is not None:
            fused[place] += 1 / (FUSION + each.word_rank)
    return np.array(fused)


def _diverse(able: Sequence[Candidate], score_C: Scores, taste: Taste) -> list[Pick]:
    """Return up to `most` by maximal marginal relevance (Carbonell and Goldstein 1998).

    Scores are stretched to 0..1 first, where the cosines they are weighed against lie.
    """
    width = np.ptp(score_C)
    scaled_C = (score_C - score_C.min()) / width if width > 0 else np.ones_like(score_C)
    unit_CD = np.stack([each.vector_D for each in able])
    likeness_C = np.zeros(len(able))  # to the most similar one picked so far
    picked: list[int] = []
    while len(picked) < min(taste.most, len(able)):
        value_C = (1 - taste.novelty) * scaled_C - taste.novelty * likeness_C
        value_C[picked] = -np.inf
        best = int(value_C.argmax())
        picked.append(best)
        likeness_C = np.maximum(likeness_C, unit_CD @ unit_CD[best])
    return [(able[row], float(score_C[row])) for row in picked]


def _fitting(picks: Sequence[Pick], space: Space, lot: Lot) -> list[Pick]:
    """Return those that fit the budget together, the better ones before the worse ones.

    Words do not add up to tokens exactly, so whole briefings are counted; at the end also those
    that the lot may make, so that it can be drawn freely.
    """
    kept: list[Pick] = []
    for pick in picks:
        if _fits(_items([*kept, pick]), space):
            kept.append(pick)
    while lot.share > 0 and not all(
        _fits(_items(kept[:n] + kept[n + 1 :]), space) for n in range(len(kept))
    ):
        kept.pop()
    return kept


def _items(picks: Sequence[Pick]) -> list[Item]:
    return [candidate.item for candidate, _ in picks]


def _fits(items: Sequence[Item], space: Space) -> bool:
    briefing = space.render(items)
    return not briefing or space.count_tokens(briefing) <= space.budget


def _drawn(picks: Sequence[Pick], lot: Lot) -> tuple[Choice, ...]:
    """Return the picks with what the lot decided: with chance `share`, one of them is left out."""
    rng = Random(lot.seed)
    drawn = bool(picks) and rng.uniform(0, 1) < lot.share
    out = rng.randrange(len(picks)) if drawn else None
    return tuple(
        Choice(
            item=candidate.item,
            score=score,
            similarity=candidate.similarity,
            worth=candidate.worth,
            shown=place != out,
            propensity=1 - lot.share / len(picks),
        )
        for place, (candidate, score) in enumerate(picks)
    )


def _silence(
    candidates: Sequence[Candidate], picks: Sequence[Pick], choices: Sequence[Choice]
) -> Silence:
    if choices:
        return Silence.LOT
    if picks:
        return Silence.BUDGET
    return Silence.UNLIKE if candidates else Silence.EMPTY
