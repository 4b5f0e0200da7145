"""Episodes that others live through this server: briefed once, grown call by call, kept at the end.

One that is never said to have ended is kept as truncated when the server stops, or when too many
are open: what was recorded is never lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock

from agent.attempt import Attempt
from apprentice.runs.remember import Reminder, Told
from apprentice.serve.outside import new_id, outside_task
from apprentice.serve.wire import Asked, Reported, RequestError, seen_last, task_of
from environments.choose import choose
from environments.episode import Completion, Ending, Episode, Split, Step
from environments.seed import derive
from memory.recall.recall import Recollection
from memory.store.store import Store

MOST_OPEN = 10_000
"""Episodes open at once: some 100 MB of transcripts."""

LONGEST_ID = 64
"""Characters of an episode's id that a caller may choose."""


class Briefings:
    """What memory says before a task, asked one at a time by whoever comes."""

    def __init__(self, reminder: Reminder | None) -> None:
        self._lock = Lock()
        self._told: Told = {}
        self._asked: Attempt | None = None
        self._briefed = None if reminder is None else reminder.brief(self._attempts(), self._told)

    def brief(self, attempt: Attempt) -> tuple[str, Recollection | None]:
        """Return the briefing of an attempt, and what it was made of."""
        if self._briefed is None:
            return "", None
        with self._lock:
            self._asked = attempt
            briefing = next(self._briefed).briefing
            return briefing, self._told.pop(attempt.id, None)

    def _attempts(self) -> Iterator[Attempt]:
        while self._asked is not None:
            yield self._asked


@dataclass(slots=True)
class Session:
    """One episode that is being lived."""

    attempt: Attempt
    briefing: str
    recollection: Recollection | None
    started: datetime
    steps: list[Step] = field(default_factory=list[Step])
    error: str | None = None  # what broke it off; None: nothing did, or it went on


@dataclass(frozen=True, slots=True)
class Place:
    """Where sessions are briefed and kept."""

    store: Store
    reminder: Reminder | None
    environment: str
    policy: str
    temperature: float | None
    clock: Callable[[], datetime]


class Sessions:
    """All that are open; used by many requests at once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open: dict[str, Session] = {}
        self._briefings = Briefings(place.reminder)
        self._lock = Lock()

    def begin(self, asked: Asked) -> Session:
        """Return the episode that a request is of; a request that marks none has its own."""
        name = asked.mark("episode")
        if len(name) > LONGEST_ID or not name.isprintable():
            raise RequestError(f"metadata.episode must be at most {LONGEST_ID} plain characters")
        with self._lock:
            if name in self._open:
                return self._open[name]
        session = self._new(asked, name)
        if not name:
            return session
        crowded: list[Session] = []
        with self._lock:
            session = self._open.setdefault(name, session)
            while len(self._open) > MOST_OPEN:
                crowded.append(self._open.pop(next(iter(self._open))))
        for oldest in crowded:
            self._keep(oldest, Ending.TRUNCATED, "")
        return session

    def record(self, session: Session, asked: Asked, written: Completion) -> None:
        """Add what was seen and written to a marked episode."""
        if not asked.mark("episode"):
            return
        admissible = tuple(asked.admissible or ())
        step = Step(
            observation=seen_last(asked.messages),
            admissible=admissible,
            completion=written,
            action=choose(written.text, admissible),
        )
        with self._lock:
            session.steps.append(step)
            session.error = None

    def end(self, reported: Reported) -> Episode:
        """Keep an episode with the outcome that its caller tells.

        Raises:
            RequestError: no such episode is open.
        """
        with self._lock:
            session = self._open.pop(reported.episode, None)
        if session is None:
            raise RequestError(
                f"no open episode {reported.episode!r}: mark requests with "
                "metadata.episode, and report each once",
                status=404,
                code="episode_not_found",
            )
        reward = float(reported.solved) if reported.reward is None else reported.reward
        ending = Ending.SOLVED if reported.solved else Ending.FAILED
        return self._keep(session, ending, reported.note, reward)

    def broke(self, name: str, error: str) -> None:
        """Note that an error broke an open episode off; it may go on, or be said to have ended."""
        with self._lock:
            if name in self._open:
                self._open[name].error = error

    def close(self) -> None:
        """Keep what nobody ended."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for session in left:
            self._keep(session, Ending.BROKEN if session.error else Ending.TRUNCATED, "")

    def _new(self, asked: Asked, name: str) -> Session:
        task = outside_task(task_of(asked.messages), asked.mark("kind"), self._place.environment)
        seed = derive(asked.seed or 0, name or new_id())
        attempt = Attempt(id=name or new_id(), task=task, seed=seed)
        briefing, recollection = self._briefings.brief(attempt if name else _without_lot(attempt))
        return Session(attempt, briefing, recollection, self._place.clock())

    def _keep(self, session: Session, ending: Ending, said: str, reward: float = 0.0) -> Episode:
        """Store an episode, and what was recalled for it; one in which nothing was said is none."""
        place = self._place
        steps = [
            *session.steps[:-1],
            *(replace(each, reward=reward) for each in session.steps[-1:]),
        ]
        now = place.clock()
        episode = Episode(
            id=session.attempt.id,
            task=session.attempt.task,
            steps=tuple(steps),
            ending=ending,
            closing=said,
            policy=place.policy,
            temperature=place.temperature,
            seed=session.attempt.seed,
            briefing=session.briefing,
            started=session.started,
            seconds=(now - session.started).total_seconds(),
            error=session.error if ending is Ending.BROKEN else None,
        )
        if steps and not place.store.add(episode):
            raise RequestError(
                f"an episode {episode.id!r} is stored already; choose another", status=409
            )
        if steps and session.recollection is not None and place.reminder is not None:
            place.reminder.note(episode, session.recollection)
        return episode


def _without_lot(attempt: Attempt) -> Attempt:
    """Return the attempt as one from which nothing is learned, so nothing is left out of it."""
    return replace(attempt, task=replace(attempt.task, split=Split.TEST))
