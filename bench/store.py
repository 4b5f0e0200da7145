"""How fast the store takes episodes and lists them, and the room that they need.

Episodes are made up, of the size that household games have: 30 steps, 28 admissible actions each,
token ids and logprobs recorded.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.figures import Figure, flags, report
from environments.episode import Completion, Ending, Episode, Split, Step, Task
from memory.store.store import Store

EPISODES, QUICK_EPISODES = 100_000, 10_000
STEPS = 30
ADMISSIBLE = 28
DISTINCT = 200
"""Different bodies; more would measure the making of episodes, not the storing."""

REPEATS = 21
KINDS = ("clean", "cool", "heat", "look", "pick", "two")
VERBS = ("clean", "cool", "examine", "go to", "heat", "move", "open", "take", "use")
NOUNS = [
    "armchair",
    "bathtubbasin",
    "bowl",
    "bread",
    "cabinet",
    "coffeemachine",
    "countertop",
    "cup",
    "diningtable",
    "drawer",
    "egg",
    "fork",
    "fridge",
    "garbagecan",
    "lettuce",
    "microwave",
    "mug",
    "pan",
    "plate",
    "potato",
    "shelf",
    "sinkbasin",
    "spatula",
    "tomato",
]


def main(arguments: Sequence[str] | None = None) -> None:
    options = flags(__doc__).parse_args(arguments)
    many = QUICK_EPISODES if options.quick else EPISODES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        figures = measured(path, many)
    report("store", figures, json_path=options.json, packages=("alembic", "pydantic", "sqlalchemy"))


def measured(path: Path, many: int) -> dict[str, Figure]:
    """Return the figures of a store of so many episodes, made at `path`."""
    with Store.open(path) as store:
        began = time.perf_counter()
        store.add_all(lives(many))
        insert_s = time.perf_counter() - began
        id = store.rows(limit=1)[0].id
        figures: dict[str, Figure] = {
            "episodes": store.count(),
            "insert_per_s": many / insert_s,
            "list_p50_ms": p50_ms(store.rows),
            "second_page_p50_ms": p50_ms(lambda: store.rows(before=id)),
            **filtered(store),
            "get_p50_ms": p50_ms(lambda: store.get(id)),
        }
    figures["list_command_s"] = p50_ms(lambda: list_in_a_new_process(path), 5) / 1000
    figures["bytes_per_episode"] = path.stat().st_size / many
    return figures


def filtered(store: Store) -> dict[str, Figure]:
    """Return how long filters take that match many episodes, few, and none."""
    broken, dev = Ending.BROKEN, Split.DEV
    return {
        "filter_common_p50_ms": p50_ms(lambda: store.rows(kind="heat", policy="random")),
        "filter_rare_p50_ms": p50_ms(lambda: store.rows(ending=broken)),
        "filter_rare_mix_p50_ms": p50_ms(lambda: store.rows(kind="heat", ending=broken, split=dev)),
        "filter_none_p50_ms": p50_ms(
            lambda: store.rows(environment="household", policy="random", kind="no such kind")
        ),
        "count_p50_ms": p50_ms(store.count),
        "count_mix_p50_ms": p50_ms(lambda: store.count(kind="heat", ending=Ending.SOLVED)),
    }


def p50_ms(act: Callable[[], object], repeats: int = REPEATS) -> float:
    taken: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def list_in_a_new_process(path: Path) -> None:
    """Do what a listing command does, from the start of the interpreter to the last row."""
    listing = (
        "import sys; from memory.store.store import Store\n"
        "with Store.open(sys.argv[1]) as store: assert len(store.rows(limit=50)) == 50"
    )
    subprocess.run([sys.executable, "-c", listing, path], check=True)


def lives(many: int) -> Iterator[Episode]:
    """Yield so many episodes, one a second, one in a thousand broken."""
    rng = random.Random(1)
    bodies = [life(rng) for _ in range(DISTINCT)]
    for number in range(many):
        body = bodies[number % DISTINCT]
        broken = number % 1000 == 0
        yield replace(
            body,
            id=f"{rng.getrandbits(128):032x}",
            task=replace(body.task, kind=rng.choice(KINDS), split=rng.choice(list(Split))),
            ending=Ending.BROKEN if broken else rng.choice((Ending.SOLVED, Ending.TRUNCATED)),
            error="Traceback" if broken else None,
            policy=rng.choice(("random", "local/smollm2")),
            run=f"run-{number // 1000:06d}",
            started=body.started + timedelta(seconds=number),
        )


def life(rng: random.Random) -> Episode:
    """Return one episode of the usual size."""
    room = [f"{noun} {number}" for noun in rng.sample(NOUNS, 14) for number in (1, 2)]
    actions = tuple(sorted(f"{rng.choice(VERBS)} {thing}" for thing in room[:ADMISSIBLE]))
    return Episode(
        id="",
        task=Task(
            id=f"household/{rng.getrandbits(64):016x}",
            environment="household",
            split=Split.TRAIN,
            kind="pick",
            goal=f"put a clean {rng.choice(NOUNS)} in {rng.choice(NOUNS)}.",
        ),
        steps=tuple(step(rng, room, actions) for _ in range(STEPS)),
        ending=Ending.SOLVED,
        policy="random",
        seed=rng.getrandbits(63),
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=rng.uniform(1, 9),
    )


def step(rng: random.Random, room: Sequence[str], actions: Sequence[str]) -> Step:
    """Return one step: the admissible actions change a little, tokens and logprobs wholly."""
    action = rng.choice(actions)
    tokens = len(action) // 3
    forced = [rng.random() < 0.6 for _ in range(tokens)]  # by the trie: no decision, logprob 0
    return Step(
        observation=f"You arrive at {action}. On it, you see a {', a '.join(rng.sample(room, 4))}.",
        admissible=tuple(rng.choice((other, f"{other} 1")) for other in actions),
        completion=Completion(
            text=action,
            token_ids=tuple(rng.randrange(49_152) for _ in range(tokens)),
            logprobs=tuple(0.0 if known else -rng.expovariate(1) for known in forced),
            prompt_tokens=rng.randrange(400, 1400),
            completion_tokens=tokens,
        ),
        action=action,
    )


if __name__ == "__main__":
    main()
