"""Many attempts at once on the workers of a Ray cluster: `practice` for more than one machine.

A worker is a process that opens the environment and makes the policy once, and plays episodes of
both with the same `rollout`. Attempts go out and finished episodes come back as values; whoever
consumes them is the only one who stores anything. What was under way on a worker that died is
played again from its beginning, elsewhere: the same attempt is the same episode.

This is the only module that knows Ray (2.60), and it imports it when a fleet is opened.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from types import ModuleType
from typing import Any, TypeAlias

from langgraph.checkpoint.memory import InMemorySaver

from agent.attempt import Attempt
from agent.play.graph import Conditions, EpisodeGraph, compile_episode
from agent.play.rollout import rollout
from environments.episode import Ending, Episode, Step
from environments.errors import UserError

INSTALL = "pip install 'ray>=2.60,<3'"

LOSSES = 5
"""Workers that may die under one attempt. Then it is what kills them, and ends as a broken one."""

LOOK_S = 1.0
"""Seconds between two looks at the head of the cluster, and before a lost worker is asked again."""

UNANSWERED = 5
"""Looks without an answer after which the head counts as lost. Ray's own client gives it 60 s, and
then aborts the whole process; the workers' episodes of this time would be lost with it."""

Furnish: TypeAlias = Callable[[], Conditions]
"""What a worker plays with, made on the worker; a function that can be imported there."""


class MissingRayError(UserError, ImportError):
    """Ray is not installed."""

    def __init__(self) -> None:
        super().__init__(f"--on ray needs ray, not installed here; run: {INSTALL}")


class FleetError(UserError, ConnectionError):
    """The cluster cannot be reached, or a worker cannot work; what is finished has been yielded."""


class Worker:
    """One process of the fleet."""

    def __init__(self, furnish: Furnish) -> None:
        self._furnish = furnish
        self._saver = InMemorySaver()
        self._room: tuple[EpisodeGraph, Conditions] | None = None

    async def fault(self) -> str | None:
        """Get ready, and return what keeps this worker from working; None: nothing does."""
        try:
            self._furnished()
        except UserError as error:
            return str(error)
        return None

    async def play(self, attempt: Attempt) -> Episode | str:
        """Return the finished episode, or the words of an error that someone can mend."""
        try:
            return await rollout(*self._furnished(), attempt)
        except UserError as error:
            return str(error)
        finally:
            await self._saver.adelete_thread(attempt.id)

    def _furnished(self) -> tuple[EpisodeGraph, Conditions]:
        if self._room is None:
            self._room = compile_episode(self._saver), self._furnish()
        return self._room


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What a fleet is made of."""

    furnish: Furnish
    policy: str  # under which name the episodes of dead workers are kept
    width: int  # episodes at once, all workers together; each plays at least one
    clock: Callable[[], datetime]


class Fleet:
    """Workers of an open cluster."""

    def __init__(self, ray: ModuleType, crew: Crew, workers: int) -> None:
        self.workers = workers
        self.lost = 0  # attempts that were played again, for their worker had died
        self._ray = ray
        self._crew = crew
        self._lanes = -(-crew.width // workers)
        options = {"max_restarts": -1, "max_concurrency": self._lanes + 1}  # one to be asked by
        make = ray.remote(Worker).options(num_cpus=1, scheduling_strategy="SPREAD", **options)
        self._actors = [make.remote(crew.furnish) for _ in range(workers)]

    async def practise(
        self,
        attempts: Iterable[Attempt],
        on_step: Callable[[Attempt, Step], None] | None = None,
    ) -> AsyncGenerator[Episode]:
        """Yield the episode of each attempt as it comes back; wrap it in `contextlib.aclosing`.

        No more attempts are taken, and no more episodes wait, than the workers play at once.

        Args:
            attempts: taken one by one as room becomes free.
            on_step: told of the steps of an episode when it comes back.

        Raises:
            FleetError: the cluster was lost, or someone can mend what a worker met; the episodes
                that had come back until then have been yielded.
        """
        play = _Play(self._actors, self._lanes, iter(attempts))
        head = asyncio.create_task(watch(*self._head()))
        try:
            while play.begin():
                done, _ = await asyncio.wait(
                    {*play.coming, *play.playing, head}, return_when=asyncio.FIRST_COMPLETED
                )
                faults = [head.result()] if head in done else []
                for task in done - {head}:
                    came = self._came(play, task)
                    if isinstance(came, str):
                        faults.append(came)
                    elif came is not None:
                        attempt, episode = came
                        if on_step is not None:
                            _tell(on_step, attempt, episode)
                        yield episode
                if faults:
                    raise FleetError(faults[0])
        finally:
            head.cancel()
            await play.stop()

    def _came(
        self, play: "_Play", task: "asyncio.Task[Any]"
    ) -> tuple[Attempt, Episode] | str | None:
        """Return the episode that came back, or a fault; None: a worker is ready, or was lost."""
        errors = self._ray.exceptions
        try:
            told = task.result()
        except errors.ActorDiedError as error:
            return f"a worker cannot start: {_last_line(error)}; is this project installed there?"
        except errors.RayActorError:
            return self._lost(play, task)
        attempt = play.free(task)
        return told if attempt is None or isinstance(told, str) else (attempt, told)

    def _lost(self, play: "_Play", task: "asyncio.Task[Any]") -> tuple[Attempt, Episode] | None:
        attempt = play.lose(task)
        if attempt is None:
            return None
        self.lost += 1
        if play.losses[attempt.id] < LOSSES:
            play.again.append(attempt)
            return None
        return attempt, self._broken(attempt)

    def _broken(self, attempt: Attempt) -> Episode:
        return Episode(
            id=attempt.id,
            task=attempt.task,
            steps=(),
            ending=Ending.BROKEN,
            policy=self._crew.policy,
            seed=attempt.seed,
            briefing=attempt.briefing,
            started=self._crew.clock(),
            seconds=0.0,
            run=attempt.run,
            error=f"{LOSSES} workers died while they played this attempt",
        )

    def _head(self) -> tuple[str, int]:
        host, _, port = self._ray.get_runtime_context().gcs_address.rpartition(":")
        return host, int(port)


class _Play:
    """Who plays what at the moment: decisions of one practice, nothing of Ray's."""

    def __init__(self, actors: list[Any], lanes: int, waiting: Iterator[Attempt]) -> None:
        self.again: deque[Attempt] = deque()  # lost, to be played before any other
        self.losses: Counter[str] = Counter()
        self.coming: dict[asyncio.Task[Any], int] = {}  # places on workers not yet ready
        self.playing: dict[asyncio.Task[Any], tuple[int, Attempt]] = {}
        self._actors = actors
        self._waiting = waiting
        self._idle: list[int] = []
        for worker in [*range(len(actors))] * lanes:
            self._come(worker, 0.0)

    def begin(self) -> bool:
        """Give attempts to all who are idle; return whether any is under way or waits."""
        while self._idle and (attempt := self._next()) is not None:
            busy = Counter(worker for worker, _ in self.playing.values())
            worker = min(self._idle, key=lambda each: busy[each])
            self._idle.remove(worker)
            task = asyncio.create_task(_awaited(self._actors[worker].play.remote(attempt)))
            self.playing[task] = worker, attempt
        if self.playing or self._idle:
            return bool(self.playing)
        attempt = self._next()  # nobody is ready yet: is there anything to be ready for?
        if attempt is not None:
            self.again.appendleft(attempt)
        return attempt is not None

    def free(self, task: "asyncio.Task[Any]") -> Attempt | None:
        """Let the worker have another attempt; return what it was playing, if anything."""
        worker, attempt = self._over(task)
        self._idle.append(worker)
        return attempt

    def lose(self, task: "asyncio.Task[Any]") -> Attempt | None:
        """Wait for the worker to come back; return what it was playing, if anything."""
        worker, attempt = self._over(task)
        if attempt is not None:
            self.losses[attempt.id] += 1
        self._come(worker, LOOK_S)
        return attempt

    async def stop(self) -> None:
        tasks = [*self.coming, *self.playing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, task: "asyncio.Task[Any]") -> tuple[int, Attempt | None]:
        return (self.coming.pop(task), None) if task in self.coming else self.playing.pop(task)

    def _next(self) -> Attempt | None:
        return self.again.popleft() if self.again else next(self._waiting, None)

    def _come(self, worker: int, after_s: float) -> None:
        async def ready() -> str | None:
            await asyncio.sleep(after_s)
            return await self._actors[worker].fault.remote()

        self.coming[asyncio.create_task(ready())] = worker


@contextmanager
def fleet(crew: Crew, address: str | None, workers: int | None) -> Generator[Fleet]:
    """Yield workers of a cluster; they and a Ray that was started for them end with it.

    Args:
        crew: what the workers do.
        address: of the head, `HOST:PORT`, or `auto`; None: start a Ray on this machine.
        workers: how many; None: one for each processor of the cluster.

    Raises:
        MissingRayError: Ray is not installed.
        FleetError: there is no cluster at this address.
    """
    ray = _ray()
    # Ray prints what its daemons say to the standard output, which is for results.
    with redirect_stdout(StringIO()):
        _join(ray, address, workers)
        try:
            yield Fleet(ray, crew, workers or int(ray.cluster_resources().get("CPU", 1)))
        finally:
            ray.shutdown()


async def watch(host: str, port: int, look_s: float = LOOK_S) -> str:
    """Return what to say when nobody answers at the head of the cluster any more."""
    unanswered = 0
    while unanswered < UNANSWERED:
        await asyncio.sleep(look_s)
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), look_s)
        except OSError:  # a timeout is one as well
            unanswered += 1
        else:
            unanswered = 0
            writer.close()
    return f"the head of the Ray cluster at {host}:{port} is gone; start it again"


def _join(ray: ModuleType, address: str | None, workers: int | None) -> None:
    options = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
    except Exception as error:
        # Of a node that does not start in time Ray raises no more than an `Exception`.
        mendable = isinstance(error, ConnectionError | RuntimeError | ValueError)
        if not (mendable or type(error) is Exception):
            raise
        said = str(error).strip().partition("\n")[0]
        raise FleetError(
            f"no Ray cluster at {address or 'this machine'}: {said}; wanted HOST:PORT of its head "
            "as `ray start` prints it, from a machine that belongs to the cluster"
        ) from None


def _ray() -> ModuleType:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingRayError from None
    return ray


def _tell(on_step: Callable[[Attempt, Step], None], attempt: Attempt, episode: Episode) -> None:
    for step in episode.steps:
        on_step(attempt, step)


async def _awaited(coming: Awaitable[Episode | str]) -> Episode | str:
    return await coming


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
