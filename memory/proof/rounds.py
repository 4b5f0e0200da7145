"""Rounds of learning: what each stage of them came to, and what error their candidates may cost.

A stage is written once, when it is finished; what a round came to can be read, and judged again,
long after. A level is spent when a candidate is first judged, however that ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Column, Connection, func, select, update

from memory.proof.proof import Outcome
from memory.proof.spending import FALSE_SHARE, Spending
from memory.store.database import Opened, insert_new, writing
from memory.store.errors import UnknownIdError
from memory.store.schema import ROUND, STAGE, VERDICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of practice, absorption, distillation and examination."""

    id: str
    number: int  # counted from 1 in its store
    seed: int
    settings: str  # JSON, the caller's: all that is needed to go on
    started: datetime
    finished: datetime | None = None  # None: it can be resumed


class Rounds(Opened):
    """Safe to share between threads; any number of processes may open the same one."""

    def next_number(self) -> int:
        with self._engine.connect() as connection:
            return _next(connection, ROUND.c.number)

    def begin(self, round: Round) -> None:
        """Note that a round has begun; of one that had, nothing changes."""
        row = {field.name: getattr(round, field.name) for field in fields(round)}
        with writing(self._engine).begin() as connection:
            connection.execute(insert_new(connection, ROUND), [row])

    def finish(self, id: str, at: datetime) -> None:
        ended = update(ROUND).where(ROUND.c.id == id, ROUND.c.finished.is_(None))
        with writing(self._engine).begin() as connection:
            connection.execute(ended.values(finished=at))

    def all(self) -> list[Round]:
        """Return the rounds in their order."""
        with self._engine.connect() as connection:
            found = connection.execute(select(ROUND).order_by(ROUND.c.number)).mappings()
            return [Round(**row) for row in found]

    def get(self, id: str) -> Round:
        """Return the round with this id, this number, or the only one whose id begins so.

        Raises:
            UnknownIdError: there is none, or several.
        """
        known = self.all()
        found = [each for each in known if id in (each.id, str(each.number))]
        found = found or [each for each in known if id and each.id.startswith(id)]
        if len(found) != 1:
            names = ", ".join(each.id for each in known) or "none yet"
            raise UnknownIdError(f"{len(found)} rounds are called {id!r}; there are: {names}")
        return found[0]

    def unfinished(self) -> Round | None:
        """Return the round that would be resumed, or None if all are finished."""
        return next((each for each in self.all() if each.finished is None), None)

    def keep(self, round: str, stage: str, report: str, at: datetime) -> None:
        """Keep what a stage came to; the first report stays."""
        row = {"round": round, "name": stage, "report": report, "at": at}
        with writing(self._engine).begin() as connection:
            connection.execute(insert_new(connection, STAGE), [row])

    def reports(self, round: str) -> Mapping[str, str]:
        """Return what the finished stages of a round came to, by name."""
        query = select(STAGE.c.name, STAGE.c.report).where(STAGE.c.round == round)
        with self._engine.connect() as connection:
            return dict(connection.execute(query).all())

    def level(self, candidate: str, at: datetime, false_share: float = FALSE_SHARE) -> float:
        """Return the level at which a candidate is judged; asked again, it is the same."""
        with writing(self._engine).begin() as connection:
            own = select(VERDICT.c.level).where(VERDICT.c.candidate == candidate)
            level = connection.scalar(own)
            if level is None:
                spending = _spending(connection, false_share)
                level = spending.level()
                row = {"candidate": candidate, "number": spending.rounds + 1}
                connection.execute(VERDICT.insert(), [row | {"level": level, "opened": at}])
        return level

    def decide(self, candidate: str, outcome: Outcome, at: datetime) -> None:
        """Note how a candidate was judged; once it is promoted or rejected it stays so."""
        open_still = VERDICT.c.outcome.is_(None) | (VERDICT.c.outcome == Outcome.UNDECIDED)
        decided = update(VERDICT).where(VERDICT.c.candidate == candidate, open_still)
        with writing(self._engine).begin() as connection:
            connection.execute(decided.values(outcome=outcome, decided=at))

    def outcome(self, candidate: str) -> Outcome | None:
        """Return how a candidate was judged; None: it was not, or its exam is not over."""
        query = select(VERDICT.c.outcome).where(VERDICT.c.candidate == candidate)
        with self._engine.connect() as connection:
            found = connection.scalar(query)
        return None if found in (None, Outcome.UNDECIDED) else Outcome(found)

    def undecided(self) -> list[str]:
        """Return the candidates whose exam was ended by its budget, the oldest first."""
        waiting = select(VERDICT.c.candidate).where(VERDICT.c.outcome == Outcome.UNDECIDED)
        with self._engine.connect() as connection:
            return list(connection.scalars(waiting.order_by(VERDICT.c.number)))

    def spending(self) -> Spending:
        """Return what has been judged and adopted so far."""
        with self._engine.connect() as connection:
            return _spending(connection, FALSE_SHARE)


def _spending(connection: Connection, false_share: float) -> Spending:
    adopted = select(func.count()).where(VERDICT.c.outcome == Outcome.PROMOTE)
    return Spending(
        false_share=false_share,
        rounds=_next(connection, VERDICT.c.number) - 1,
        adopted=connection.scalar(adopted) or 0,
    )


def _next(connection: Connection, column: Column[int]) -> int:
    return (connection.scalar(select(func.max(column))) or 0) + 1
