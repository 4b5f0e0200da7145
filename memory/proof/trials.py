"""Which memories are being proved, with what was played for each: kept, so that a proof goes on.

A pair that was played is never asked for again, and the error that a round may cost stays spent
however often the program is started.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from scipy.special import ndtri
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from memory.knowledge.items import Item
from memory.proof.proof import Pair
from memory.proof.sequential import Plan
from memory.proof.spending import Spending
from memory.store.database import Opened, insert_new, writing
from memory.store.schema import TRIAL, TRIAL_PAIR

DISCORDANT = 0.3
"""Share of pairs that one of the two attempts alone solves, as planned with: at 300 pairs and the
level of the first round of ten it makes ten points the gain that can be proven."""

WORTHWHILE = 0.10  # gain in share solved that we would be sorry to miss
POWER = 0.8  # chance to prove such a gain


class Result(StrEnum):
    """How a trial ended."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    DROPPED = "dropped"  # the item changed, went, or was judged by a person meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate, as it is judged in one round."""

    item: str
    version: int  # the one that was on trial first; a later one may say the same
    round: int  # counted from 1; the candidates of a round share its level
    plan: Plan
    opened: datetime
    pairs: tuple[Pair, ...] = ()  # in the order in which they count
    result: Result | None = None  # None: it goes on


def plan_of(level: float, pairs: int) -> Plan:
    """Return the plan of a trial that can have so many pairs at such a level.

    Where they are few, a gain of ten points is out of reach from the start, and to give up what
    has no more to offer would mean to give up on everything: so we look for the gain that they can
    show, by the normal approximation of McNemar's test (Miettinen 1968).
    """
    quantiles = float(ndtri(1 - level) + ndtri(POWER))
    provable = quantiles * (DISCORDANT / pairs) ** 0.5
    return Plan(level=level, pairs=pairs, worthwhile=min(0.99, max(WORTHWHILE, provable)))


class Trials(Opened):
    """Safe to share between threads; any number of processes may open the same one."""

    def spending(self) -> Spending:
        """Return what has been spent: a round counts once it is opened, whatever comes of it."""
        with self._engine.connect() as connection:
            return _spending(connection)

    def open_round(self, pairs: Mapping[str, int], items: Sequence[Item], at: datetime) -> None:
        """Begin to judge these candidates together, at one level for all of them.

        Args:
            pairs: at most so many for each, by item.
            items: the candidates; none of them may be on trial already.
            at: the time now.
        """
        with writing(self._engine).begin() as connection:
            spending = _spending(connection)
            level = spending.level(len(items))
            rows = [
                {
                    "item": item.id,
                    "round": spending.rounds + 1,
                    "version": item.version,
                    "level": level,
                    "pairs": pairs[item.id],
                    "opened": at,
                }
                for item in items
            ]
            connection.execute(insert(TRIAL), rows)

    def going(self) -> list[Trial]:
        """Return the trials that go on, those of the oldest round first."""
        return self._trials(TRIAL.c.result.is_(None))

    def of(self, item: str) -> list[Trial]:
        """Return the trials of an item, the oldest first."""
        return self._trials(TRIAL.c.item == item)

    def played(self, trial: Trial, pairs: Sequence[Pair]) -> Trial:
        """Keep the next pairs of a trial, and return it with them."""
        start = len(trial.pairs)
        rows = [
            {"item": trial.item, "round": trial.round, "number": start + place}
            | {"task": pair.task, "incumbent": pair.incumbent, "candidate": pair.candidate}
            for place, pair in enumerate(pairs)
        ]
        if rows:
            with writing(self._engine).begin() as connection:
                connection.execute(insert_new(connection, TRIAL_PAIR), rows)
        return replace(trial, pairs=(*trial.pairs, *pairs))

    def end(self, trial: Trial, result: Result, at: datetime) -> Trial:
        """Note how a trial ended; one that has ended stays as it is."""
        this = (TRIAL.c.item == trial.item, TRIAL.c.round == trial.round)
        ended = update(TRIAL).where(*this, TRIAL.c.result.is_(None))
        with writing(self._engine).begin() as connection:
            connection.execute(ended.values(result=result, ended=at))
        return replace(trial, result=result)

    def _trials(self, condition: ColumnElement[bool]) -> list[Trial]:
        query = select(TRIAL).where(condition).order_by(TRIAL.c.round, TRIAL.c.item)
        with self._engine.connect() as connection:
            return [
                Trial(
                    item=found["item"],
                    version=found["version"],
                    round=found["round"],
                    plan=plan_of(found["level"], found["pairs"]),
                    opened=found["opened"],
                    pairs=_pairs(connection, found["item"], found["round"]),
                    result=found["result"] and Result(found["result"]),
                )
                for found in connection.execute(query).mappings().all()
            ]


def _spending(connection: Connection) -> Spending:
    rounds = connection.scalar(select(func.max(TRIAL.c.round))) or 0
    adopted = select(func.count()).where(TRIAL.c.result == Result.PROMOTED)
    return Spending(rounds=rounds, adopted=connection.scalar(adopted) or 0)


def _pairs(connection: Connection, item: str, round: int) -> tuple[Pair, ...]:
    query = (
        select(TRIAL_PAIR.c.task, TRIAL_PAIR.c.incumbent, TRIAL_PAIR.c.candidate)
        .where(TRIAL_PAIR.c.item == item, TRIAL_PAIR.c.round == round)
        .order_by(TRIAL_PAIR.c.number)
    )
    return tuple(Pair(*found) for found in connection.execute(query))
