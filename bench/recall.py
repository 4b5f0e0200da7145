"""How fast memory takes items in and finds them again, and how many of the nearest it misses.

The bank, the index and the model of embedding are the real ones. Some thousand lessons are embedded
for real; the vectors of the others lie between those of two real ones, since to embed 100,000 takes
a quarter of an hour and tells nothing more of a search.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np

from apprentice.processor import multiplies_bfloat16
from bench.figures import Figure, flags, report
from bench.rivals import beside
from environments.anchor import Anchor
from environments.episode import Completion, Ending, Episode, Split, Step, Task
from memory.bank.bank import Bank
from memory.index.chroma import Which
from memory.index.claim import Owner
from memory.index.embed import Embedder, embed_missing, packaged
from memory.index.exact import Floats
from memory.index.index import Index
from memory.knowledge.items import Lesson, Source, Standing, text_of
from memory.recall.briefing import small
from memory.recall.candidates import NEAR, WORDED, Shelf
from memory.recall.recall import Candidate, Lot, Space, Taste, recall
from memory.store.store import Store

ITEMS, QUICK_ITEMS = 100_000, 2_000
EMBEDDED, QUICK_EMBEDDED = 4_000, 400
QUERIES, QUICK_QUERIES = 200, 30
AT = 10
"""recall@10: how many of the ten nearest an index finds."""

Asked = TypeVar("Asked")

WORLD = "household"
DAY = datetime(2026, 11, 23, tzinfo=UTC)
KINDS = ("clean", "cool", "heat", "look", "pick", "two")
VERBS = [
    "clean",
    "cool",
    "examine",
    "find",
    "heat",
    "move",
    "open",
    "put",
    "slice",
    "take",
    "turn",
    "wash",
]
THINGS = [
    "apple",
    "bowl",
    "book",
    "bread",
    "candle",
    "cd",
    "cloth",
    "cup",
    "egg",
    "fork",
    "kettle",
    "knife",
]
PLACES = [
    "armchair",
    "bathtub",
    "bed",
    "bin",
    "cabinet",
    "cart",
    "countertop",
    "desk",
    "drawer",
    "dresser",
    "fridge",
    "garbagecan",
]
FAULTS = (
    "the {place} is still closed",
    "the {thing} is carried along and the hands are not free",
    "only the {place} is looked into, again and again",
    "the {thing} is put into the {place} before it is made ready",
    "the number of the {thing} is mistaken for another",
)
CURES = (
    "open the {place} first, then take the {thing}",
    "go to the {place}, and if there is no {thing}, look into the {other}",
    "use the {other} on the {thing}, and only then go to the {place}",
    "put the {thing} down at the {other} before taking the next one",
)


@dataclass(frozen=True, slots=True)
class Size:
    items: int
    embedded: int
    queries: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = flags(__doc__).parse_args(arguments)
    quick = Size(QUICK_ITEMS, QUICK_EMBEDDED, QUICK_QUERIES)
    size = quick if options.quick else Size(ITEMS, EMBEDDED, QUERIES)
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), size)
    packages = ("chromadb", "numpy", "sentence-transformers", "torch", "mem0ai", "langmem")
    report("recall", figures, json_path=options.json, packages=packages, argv=arguments)


def measured(folder: Path, size: Size) -> dict[str, Figure]:
    embedder = Embedder(dtype="bfloat16" if multiplies_bfloat16() else "float32")
    embedder.query("load the model")
    rng = Random(0)
    which = Which(model=embedder.name, environment=WORLD)
    me = Owner(pid=os.getpid(), host="bench", since=DAY)
    with a_bank(folder / "db") as bank:
        everything = Index.embedded(
            bank, Which(model=embedder.name, standing=None), folder / "all", me
        )
        took_in = ingest(bank, embedder, everything, size)
        fill(bank, embedder.name, size, rng)
        built_s, opened_s = (opening(bank, which, folder / "index", me) for _ in range(2))
        with (
            Index.embedded(bank, which, folder / "index", me) as chroma,
            Index.embedded(bank, which, folder / "index", me) as exact,  # not the owner
        ):
            asked = {text: embedder.query(text) for text in questions(size.queries, rng)}
            return {
                "items": size.items,
                "embedder": embedder.name,
                **took_in,
                "index_per_s": size.items / built_s,
                "open_s": opened_s,
                **compared(asked, chroma, exact),
                **recalled(asked, bank, embedder, {"": chroma, "_without_index": exact}, rng),
                **beside(
                    folder,
                    [text_of(a_lesson(rng)) for _ in range(size.embedded)],
                    list(questions(size.queries, rng)),
                    embedder,
                    packaged(),
                ),
            }


def ingest(bank: Bank, embedder: Embedder, index: Index, size: Size) -> dict[str, Figure]:
    """Return how many items a second are stored, embedded and put into the index.

    By the clock, by the processor's time, and the embedding alone by the clock.
    """
    rng = Random(1)
    lessons = [a_lesson(rng) for _ in range(size.embedded)]
    with index:
        started, spent = time.perf_counter(), time.process_time()
        bank.add_all(lessons)
        stored = time.perf_counter()
        embed_missing(bank, embedder)
        embedded = time.perf_counter()
        index.refresh()
        return {
            "ingest_per_s": size.embedded / (time.perf_counter() - started),
            "ingest_per_processor_s": size.embedded / (time.process_time() - spent),
            "embed_per_s": size.embedded / (embedded - stored),
        }


def opening(bank: Bank, which: Which, folder: Path, me: Owner) -> float:
    """Return the seconds until the index is open and holds what SQL does."""
    started = time.perf_counter()
    with Index.embedded(bank, which, folder, me):
        return time.perf_counter() - started


def fill(bank: Bank, model: str, size: Size, rng: Random) -> None:
    """Add the other items with vectors between those of two embedded ones, and activate all."""
    _, real_ND = bank.vectors(model)
    mixer = np.random.default_rng(2)
    while (missing := size.items - bank.count()) > 0:
        added = bank.add_all([a_lesson(rng) for _ in range(min(5_000, missing))])
        made_ND = between(real_ND, len(added), mixer)
        keys = [(item.id, item.version) for item in added]
        bank.put_vectors(model, dict(zip(keys, made_ND, strict=True)))
    for item in bank.items(standing=Standing.CANDIDATE):
        bank.set_standing(item.id, Standing.ACTIVE, "bench", DAY)


def between(real_ND: Floats, many: int, mixer: np.random.Generator) -> Floats:
    one, other = mixer.integers(0, len(real_ND), (2, many))
    share_N1 = mixer.uniform(0, 0.5, (many, 1)).astype(np.float32)
    noise_ND = mixer.standard_normal((many, real_ND.shape[1])).astype(np.float32) * 0.01
    mixed_ND = (1 - share_N1) * real_ND[one] + share_N1 * real_ND[other] + noise_ND
    return mixed_ND / np.linalg.norm(mixed_ND, axis=1, keepdims=True)


def compared(asked: Mapping[str, Floats], chroma: Index, exact: Index) -> dict[str, Figure]:
    """Return how many of the nearest Chroma finds, and what a search alone takes in each."""
    hits = sum(
        len(
            {near.id for near in chroma.find(query_D, AT)}
            & {near.id for near in exact.find(query_D, AT)}
        )
        for query_D in asked.values()
    )
    return {
        "recall_at_10": hits / AT / len(asked),
        "search_chroma_p50_ms": p50_ms(lambda query_D: chroma.find(query_D, NEAR), asked.values()),
        "search_exact_p50_ms": p50_ms(lambda query_D: exact.find(query_D, NEAR), asked.values()),
    }


def recalled(
    asked: Mapping[str, Floats],
    bank: Bank,
    embedder: Embedder,
    indexes: Mapping[str, Index],
    rng: Random,
) -> dict[str, Figure]:
    """Return what it takes from a task to its briefing, with and without the embedding."""
    figures: dict[str, Figure] = {
        "words_p50_ms": p50_ms(
            lambda text: bank.search_text(
                text, WORDED, standing=Standing.ACTIVE, environment=WORLD
            ),
            asked,
        )
    }
    for name, index in indexes.items():
        shelf = Shelf(bank=bank, index=index, embedder=embedder, environment=WORLD)
        figures[f"recall{name}_p50_ms"] = p50_ms(
            lambda text, shelf=shelf: told(shelf.near_to("cool", text, asked[text], {})), asked
        )
        figures[f"recall_with_embedding{name}_p50_ms"] = p50_ms(
            lambda text, shelf=shelf: told(shelf.near("cool", text, {})),
            questions(len(asked), rng),  # new ones: those asked before are not embedded again
        )
    return figures


def told(candidates: Sequence[Candidate]) -> str:
    """Return the briefing; words are counted for tokens, since a tokenizer is the policy's."""
    return recall(
        "cool",
        candidates,
        strategy="worth",
        taste=Taste(),
        space=Space(render=small, count_tokens=lambda text: len(text.split()), budget=400),
        lot=Lot(seed=0),
    ).briefing


def questions(many: int, rng: Random) -> Iterator[str]:
    for _ in range(many):
        lesson = a_lesson(rng)
        yield f"{lesson.when} You see a {rng.choice(PLACES)} and a {rng.choice(PLACES)}."


def p50_ms(act: Callable[[Asked], object], asked: Iterable[Asked]) -> float:
    taken: list[float] = []
    for each in asked:
        started = time.perf_counter()
        act(each)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


@contextmanager
def a_bank(path: Path) -> Generator[Bank]:
    """Yield a bank whose one episode all lessons come from."""
    with Store.open(path) as store:
        store.add(EPISODE)
    with Bank.open(path) as bank:
        yield bank


EPISODE = Episode(
    id="bench",
    task=Task(id="bench", environment=WORLD, split=Split.TRAIN, kind="cool", goal="cool a mug"),
    steps=(Step(observation="A room.", completion=Completion(text="look"), action="look"),),
    ending=Ending.FAILED,
    policy="bench",
    seed=0,
    started=DAY,
    seconds=1.0,
)
SOURCE = Source.of(EPISODE, anchor=Anchor.ENVIRONMENT, made=DAY)


def a_lesson(rng: Random) -> Lesson:
    words = {
        "verb": rng.choice(VERBS),
        "thing": rng.choice(THINGS),
        "place": rng.choice(PLACES),
        "other": rng.choice(PLACES),
    }
    return Lesson(
        environment=WORLD,
        kind=rng.choice(KINDS),
        when="The task is to {verb} a {thing} and put it in the {place}.".format(**words),
        fault=rng.choice(FAULTS).format(**words),
        why="closed receptacles hide what they hold",
        instead=rng.choice(CURES).format(**words),
        unless="",
        critique="",
        source=SOURCE,
    )


if __name__ == "__main__":
    main()
