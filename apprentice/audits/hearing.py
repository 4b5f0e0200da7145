"""What a judge says of several attempts at each of several tasks, in each way of asking.

Shape suffixes: P tasks, N attempts at each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations, permutations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.critics.judge import SCORES, UNDECIDED, Judge, Match
from environments.episode import Episode
from environments.errors import UnknownNameError

Floats = NDArray[np.float64]
Groups = Sequence[Sequence[Episode]]

ROUNDS = 2
"""Of a knock-out: one in four survives."""


class Verifier(StrEnum):
    """How the judge is asked."""

    YES_NO = "yes-no"  # is it solved?
    SCORE = "score"  # 1 to 10
    TOURNAMENT = "tournament"  # which of two, knock-out


@dataclass(frozen=True, slots=True)
class Heard:
    """What the judge said of all attempts."""

    score_PN: dict[Verifier, Floats] = field(default_factory=dict)  # 0 to 1
    winner_PN: Floats | None = None  # weights of the knock-outs; None: none were played
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """What a judge minds that it should not, over every pair of some tasks, in both orders."""

    tasks: int
    first: float  # how far the one shown first is preferred; fair: 1/2
    agreement: float  # share of pairs with the same winner in both orders
    cycles: int  # triples in which it contradicts itself
    triples: int
    length: float  # mean correlation of Copeland score and length
    own: float | None  # how far its own attempts beat others' that ended alike; None: no such pairs
    own_pairs: int


def verifiers_of(text: str) -> tuple[Verifier, ...]:
    """Return the verifiers that are listed, in their order.

    Raises:
        UnknownNameError: there is no such verifier.
    """
    known = tuple(each.value for each in Verifier)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UnknownNameError("verifier", name, known)
    return tuple(dict.fromkeys(Verifier(name) for name in names))


def answers_to(verifiers: Sequence[Verifier], attempts: int) -> int:
    """Return how many answers the verifiers need for one task, one vote each.

    >>> answers_to([Verifier.YES_NO, Verifier.TOURNAMENT], 8)
    20
    """
    single = sum(each is not Verifier.TOURNAMENT for each in verifiers)
    matches = attempts // (1 << ROUNDS) * ((1 << ROUNDS) - 1)
    return attempts * single + 2 * matches * (Verifier.TOURNAMENT in verifiers)


async def hear(
    judge: Judge, groups: Groups, verifiers: Sequence[Verifier], rng: Generator
) -> Heard:
    """Return what a judge says of these attempts."""
    asked: dict[Verifier, Callable[[Episode], Awaitable[float]]] = {
        Verifier.YES_NO: judge.passes,
        Verifier.SCORE: judge.scores,
    }
    draws = [rng.permutation(len(group)).tolist() for group in groups]
    score_PN = {each: await _each(groups, asked[each]) for each in asked if each in verifiers}
    if Verifier.SCORE in score_PN:
        score_PN[Verifier.SCORE] /= len(SCORES)
    if Verifier.TOURNAMENT not in verifiers or len(groups[0]) < 1 << ROUNDS:
        return Heard(score_PN)
    played = await asyncio.gather(
        *(knock_out(judge, group, draw) for group, draw in zip(groups, draws, strict=True))
    )
    winner_PN = np.stack([winners for winners, _ in played])
    return Heard(score_PN, winner_PN, tuple(match for _, each in played for match in each))


async def knock_out(
    judge: Judge, attempts: Sequence[Episode], draw: Sequence[int]
) -> tuple[Floats, list[Match]]:
    """Return who survives knock-outs of 2^rounds attempts each, as weights, and the matches.

    Each match is played in both orders; where these disagree, the draw decides.
    """
    left = list(draw[: len(draw) >> ROUNDS << ROUNDS])
    played: list[Match] = []
    for _ in range(ROUNDS):
        pairs = list(zip(left[::2], left[1::2], strict=True))
        matches = await asyncio.gather(
            *(judge.compares(attempts[one], attempts[other]) for one, other in pairs)
        )
        played += matches
        left = [
            one if match.first >= UNDECIDED else other
            for (one, other), match in zip(pairs, matches, strict=True)
        ]
    weight_N = np.zeros(len(attempts))
    weight_N[left] = 1.0
    return weight_N, played


def bias_of(matches: Sequence[Match]) -> tuple[float, float]:
    """Return how far whoever is shown first is preferred, and how often both orders agree."""
    first = float(np.mean([match.bias for match in matches]))
    return first, float(np.mean([match.first != UNDECIDED for match in matches]))


async def biases(judge: Judge, groups: Groups) -> Bias:
    """Compare every pair of each task's attempts in both orders, and say what the judge minds."""
    from distill.signals.pairwise import copeland, cycles, length_correlation, tally

    matches: list[Match] = []
    own: list[float] = []
    contradictions, triples, lengths = 0, 0, list[float]()
    for group in groups:
        found = await _all_pairs(judge, group)
        matches += [found[pair] for pair in combinations(range(len(group)), 2)]
        own += _own_wins(judge.name, group, found)
        wins_MM = tally(_firsts(found, len(group)))
        contradictions += cycles(wins_MM)
        triples += len(group) * (len(group) - 1) * (len(group) - 2) // 6
        lengths.append(length_correlation(copeland(wins_MM), _lengths(group)))
    first, agreement = bias_of(matches)
    return Bias(
        tasks=len(groups),
        first=first,
        agreement=agreement,
        cycles=contradictions,
        triples=triples,
        length=float(np.mean(lengths)),
        own=float(np.mean(own)) if own else None,
        own_pairs=len(own),
    )


async def _each(groups: Groups, ask: Callable[[Episode], Awaitable[float]]) -> Floats:
    flat = await asyncio.gather(*(ask(each) for group in groups for each in group))
    return np.array(flat, dtype=float).reshape(len(groups), -1)


async def _all_pairs(judge: Judge, group: Sequence[Episode]) -> dict[tuple[int, int], Match]:
    pairs = list(combinations(range(len(group)), 2))
    matches = await asyncio.gather(*(judge.compares(group[i], group[j]) for i, j in pairs))
    return dict(zip(pairs, matches, strict=True))


def _own_wins(
    name: str, group: Sequence[Episode], found: dict[tuple[int, int], Match]
) -> Iterator[float]:
    """Yield 1 or 0 (1/2: a tie) for each pair of an own attempt and another's that ended alike."""
    for i, j in permutations(range(len(group)), 2):
        mine, other = group[i], group[j]
        if mine.policy == name != other.policy and mine.ending is other.ending:
            match = found[min(i, j), max(i, j)]
            yield match.first if i < j else 1 - match.first


def _firsts(found: dict[tuple[int, int], Match], count: int):  # noqa: ANN202 - a torch tensor
    import torch

    first_MM = torch.full((count, count), UNDECIDED)
    for (i, j), match in found.items():
        first_MM[i, j] = _verdict(match.shown_first)
        first_MM[j, i] = _verdict(1 - match.shown_second)
    return first_MM


def _verdict(lean: float) -> float:
    return UNDECIDED if lean == UNDECIDED else float(lean > UNDECIDED)


def _lengths(group: Sequence[Episode]):  # noqa: ANN202 - a torch tensor
    import torch

    return torch.tensor([float(len(each.steps)) for each in group])
