"""How fast the bank takes memories, finds them by their words and hands all of them out.

Lessons are made up, of 35 words that follow Zipf's law; vectors are random, of the default width.
Times are of this process, so that a busy machine changes them less.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np

from bench.figures import Figure, flags, report
from environments.anchor import Anchor
from environments.episode import Ending, Episode, Split, Task
from memory.bank.bank import Bank
from memory.knowledge.items import Lesson, Source
from memory.store.store import Store

ITEMS, QUICK_ITEMS = 100_000, 5_000
SINGLY = 500
BATCH = 64
EPISODES = 500
WIDTH = 384
QUERIES = 50
VOCABULARY = [f"word{number}" for number in range(5_000)]
ZIPF = list(accumulate(1 / rank for rank in range(1, len(VOCABULARY) + 1)))
MORNING = datetime(2026, 11, 23, tzinfo=UTC)

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    options = flags(__doc__).parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder) / "store.db", QUICK_ITEMS if options.quick else ITEMS)
    report("bank", figures, json_path=options.json, packages=["sqlalchemy"], argv=arguments)


def measured(path: Path, many: int) -> dict[str, Figure]:
    rng = Random(0)
    episodes = [an_episode(number) for number in range(EPISODES)]
    with Store.open(path) as store:
        store.add_all(episodes)
    lessons = [a_lesson(rng, episodes[number % EPISODES]) for number in range(many)]
    with Bank.open(path) as bank:
        _, singly_s = timed(lambda: [bank.add(lesson) for lesson in lessons[:SINGLY]])
        _, batches_s = timed(lambda: [bank.add_all(lessons[n:m]) for n, m in spans(SINGLY, many)])
        return {
            "items": many,
            "add_per_s": SINGLY / singly_s,
            "add_in_batches_of_64_per_s": (many - SINGLY) / batches_s,
            **read(bank, rng),
            **changed(bank),
            "megabytes": path.stat().st_size / 1e6,
        }


def read(bank: Bank, rng: Random) -> dict[str, Figure]:
    items, items_s = timed(bank.items)
    vectors = np.random.default_rng(0).standard_normal((len(items), WIDTH)).astype(np.float32)
    keyed = {(item.id, item.version): row for item, row in zip(items, vectors, strict=True)}
    _, put_s = timed(lambda: bank.put_vectors("made-up", keyed))
    (_, found), vectors_s = timed(lambda: bank.vectors("made-up"))
    assert np.array_equal(found, vectors)
    _, missing_s = timed(lambda: bank.missing_vectors("made-up"))
    queries = [words(rng, 10) for _ in range(QUERIES)]
    searches = [timed(lambda query=query: bank.search_text(query, 20))[1] for query in queries]
    return {
        "items_s": items_s,
        "put_vectors_per_s": len(items) / put_s,
        "vectors_s": vectors_s,
        "missing_vectors_s": missing_s,
        "search_text_p50_ms": 1000 * float(np.percentile(searches, 50)),
        "search_text_p95_ms": 1000 * float(np.percentile(searches, 95)),
    }


def changed(bank: Bank) -> dict[str, Figure]:
    some = bank.items()[:100]
    _, get_s = timed(lambda: [bank.get(item.id) for item in some])
    _, revise_s = timed(lambda: [bank.revise(replace(item, why="else")) for item in some])
    _, forget_s = timed(lambda: bank.forget("e3", "measured", MORNING))
    faults, integrity_s = timed(bank.integrity)
    assert not faults
    return {
        "get_per_s": len(some) / get_s,
        "revise_per_s": len(some) / revise_s,
        "forget_s": forget_s,
        "integrity_s": integrity_s,
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def spans(start: int, end: int) -> list[tuple[int, int]]:
    return [(n, min(n + BATCH, end)) for n in range(start, end, BATCH)]


def words(rng: Random, many: int) -> str:
    return " ".join(rng.choices(VOCABULARY, cum_weights=ZIPF, k=many))


def a_lesson(rng: Random, episode: Episode) -> Lesson:
    return Lesson(
        environment="household",
        kind="cool",
        when=words(rng, 15),
        fault=words(rng, 10),
        why="",
        instead=words(rng, 10),
        unless="",
        critique="",
        source=Source.of(episode, anchor=Anchor.ENVIRONMENT, made=MORNING),
    )


def an_episode(number: int) -> Episode:
    task = Task(
        id=f"household/{number}", environment="household", split=Split.TRAIN, kind="cool", goal=""
    )
    return Episode(
        id=f"e{number}", task=task, steps=(), ending=Ending.FAILED, policy="scripted", seed=0,
        started=MORNING, seconds=1.0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
