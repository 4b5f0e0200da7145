"""How soon a page of a full store is there, and how many requests at once the endpoint answers.

Over HTTP on this machine, as a browser and a client would. The episodes are made up, of the size
that household games have; whoever answers the endpoint takes no time, so what is measured is ours.
"""

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import openai
from starlette.types import ASGIApp

from agent.scripted import RandomPolicy
from apprentice.build import STORE, now
from apprentice.serve.answering import Local
from apprentice.serve.app import Counter
from apprentice.serve.app import create_app as endpoint
from apprentice.serve.listening import server_of, taken
from apprentice.serve.sessions import Place, Sessions
from apprentice.settings.config import load
from apprentice.web.app import create_app as pages
from apprentice.web.site import Access, open_site
from bench.figures import Figure, flags, report
from bench.store import lives
from environments.episode import Split
from memory.store.records import Run
from memory.store.store import Store

EPISODES, QUICK_EPISODES = 100_000, 5_000
A_RUN = 1_000
"""Episodes of one run, as `bench.store` makes them."""

REPEATS = 21
AT_ONCE = 64
REQUESTS, QUICK_REQUESTS = 2_048, 256


def main(arguments: Sequence[str] | None = None) -> None:
    parser = flags(__doc__)
    parser.add_argument("--home", type=Path, help="of a store that is there already")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or filled(Path(folder), QUICK_EPISODES if options.quick else EPISODES)
        figures = looked_at(home) | answered(
            Path(folder), QUICK_REQUESTS if options.quick else REQUESTS
        )
    packages = ("fastapi", "jinja2", "openai", "sqlalchemy", "starlette", "uvicorn")
    report("windows", figures, json_path=options.json, packages=packages)


def filled(home: Path, many: int) -> Path:
    """Return a home with so many episodes."""
    with Store.open(home / STORE) as store:
        store.add_all(lives(many))
        for number in range(many // A_RUN):
            store.begin_run(a_run(number))
    return home


def a_run(number: int) -> Run:
    return Run(
        id=f"run-{number:06d}",
        environment="household",
        split=Split.TRAIN,
        policy="random",
        seed=0,
        episodes=A_RUN,
        started=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number * A_RUN),
        settings="{}",
    )


def looked_at(home: Path) -> dict[str, Figure]:
    """Return how long each sort of page takes."""
    with (
        open_site(load({"home": home}), Access(hosts=("127.0.0.1",))) as site,
        serving(pages(site)) as address,
        httpx2.Client(base_url=address, timeout=60) as browser,
    ):
        began = time.perf_counter()
        browser.get("/").raise_for_status()
        first_s = time.perf_counter() - began
        rows = site.pages.episodes(limit=REPEATS).rows
        several = iter(rows * 2)

        def get(path: str) -> None:
            browser.get(path).raise_for_status()

        older = site.pages.episodes(limit=50).older
        return {
            "episodes": site.store.count(),
            "overview_first_ms": first_s * 1000,
            "overview_p50_ms": p50_ms(lambda: get("/")),
            "episode_p50_ms": p50_ms(lambda: get(f"/episodes/{next(several).id}")),
            "episodes_p50_ms": p50_ms(lambda: get("/episodes")),
            "episodes_older_p50_ms": p50_ms(lambda: get(f"/episodes?before={older}")),
            "search_common_p50_ms": p50_ms(lambda: get("/episodes?q=mug")),
            "search_nothing_p50_ms": p50_ms(lambda: get("/episodes?q=nowhere")),
        }


def answered(folder: Path, requests: int) -> dict[str, Figure]:
    """Return how fast the endpoint answers many at once, and how many it lost."""
    policy = RandomPolicy()
    with Store.open(folder / "served.db") as store:
        place = Place(
            store=store,
            reminder=None,
            environment="household",
            policy=policy.name,
            temperature=None,
            clock=now,
        )
        app = endpoint(Counter(Local(policy), Sessions(place), now))
        with serving(app) as address:
            began = time.perf_counter()
            whole = asyncio.run(ask(f"{address}/v1", requests))
            elapsed = time.perf_counter() - began
        kept = store.count()
    return {
        "serve_requests": requests,
        "serve_requests_per_s": requests / elapsed,
        "serve_lost": requests - whole,
        "serve_episodes_lost": requests - kept,
    }


async def ask(address: str, requests: int) -> int:
    """Ask so many times, `AT_ONCE` at once, each in an episode of its own; count the answers."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(client: openai.AsyncOpenAI, number: int) -> bool:
        marked = {"metadata": {"episode": f"e{number}"}, "admissible": ["go left", "go right"]}
        async with room:
            answer = await client.chat.completions.create(
                model="apprentice",
                messages=[{"role": "user", "content": "There is a door."}],
                seed=number,
                extra_body=marked,
            )
        return answer.choices[0].message.content in ("go left", "go right")

    async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
        tries = (one(client, number) for number in range(requests))
        return sum(each is True for each in await asyncio.gather(*tries, return_exceptions=True))


@contextmanager
def serving(app: ASGIApp) -> Generator[str]:
    """Yield the address of an application that runs in a thread."""
    bound = taken("127.0.0.1", 0)
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def p50_ms(do: Callable[[], object]) -> float:
    """Return the median time of something, in ms."""
    return statistics.median(timed(do)) * 1000


def timed(do: Callable[[], object]) -> Iterator[float]:
    for _ in range(REPEATS):
        began = time.perf_counter()
        do()
        yield time.perf_counter() - began


if __name__ == "__main__":
    main()
