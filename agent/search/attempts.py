"""Many attempts, each searched and then taken the best way that was found.

The counterpart of `agent.play.practice`: whoever consumes the episodes stores them. A search that
is killed begins anew; the same seed finds the same.
"""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from itertools import islice

from agent.attempt import Attempt
from agent.search.harvest import episode_of, searcher
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.walk import Scene
from environments.episode import Ending, Episode
from environments.errors import UserError


async def searched(
    scene: Scene,
    attempts: Iterable[Attempt],
    *,
    settings: SearchSettings,
    clock: Callable[[], datetime],
    concurrency: int,
    on_search: Callable[[Search], None] | None = None,
) -> AsyncGenerator[Episode]:
    """Yield the episode of each attempt as its search ends; wrap it in `contextlib.aclosing`.

    Args:
        scene: who acts where, and who judges.
        attempts: taken one by one as room becomes free.
        settings: of each search.
        clock: the time now, with its zone.
        concurrency: how many searches go on at once.
        on_search: told of each search that ended, before its episode is yielded.

    Raises:
        UserError: someone can mend it; the episodes finished until then have been yielded.
    """
    waiting = iter(attempts)
    playing: set[asyncio.Task[tuple[Episode, Search | None]]] = set()
    try:
        while True:
            for attempt in islice(waiting, concurrency - len(playing)):
                job = _searched(scene, attempt, settings, clock)
                playing.add(asyncio.create_task(job))
            if not playing:
                return
            done, playing = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda each: each.exception() is not None):
                episode, search = task.result()
                if search is not None and on_search is not None:
                    on_search(search)
                yield episode
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


async def _searched(
    scene: Scene, attempt: Attempt, settings: SearchSettings, clock: Callable[[], datetime]
) -> tuple[Episode, Search | None]:
    began = clock()
    try:
        search = Search(scene, attempt, settings, clock)
        await search.run()
    except UserError:
        raise
    except Exception:  # noqa: BLE001 - as in `agent.play.rollout`: a broken attempt is data
        return _broken(scene, attempt, settings, (began, clock())), None
    return episode_of(search, search.found, scene.policy.name, clock()), search


def _broken(
    scene: Scene,
    attempt: Attempt,
    settings: SearchSettings,
    lived: tuple[datetime, datetime],
) -> Episode:
    return Episode(
        id=attempt.id,
        task=attempt.task,
        steps=(),
        ending=Ending.BROKEN,
        policy=searcher(scene.policy.name, settings.budget),
        seed=attempt.seed,
        briefing=attempt.briefing,
        started=lived[0],
        seconds=(lived[1] - lived[0]).total_seconds(),
        run=attempt.run,
        error=traceback.format_exc(),
    )
