"""Reasoning Gym's puzzles (Stojanovski et al. 2025, arXiv:2505.24760; Apache-2.0): one answer each.

Made on the spot from seeds and scored by the package. Only kinds of puzzles are offered whose
scorer does not run the answer as code, that are the same in every process, and whose own answer
scores full marks; all of this was tried out with version 0.1.25.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UnknownNameError, UserError
from environments.extras import load
from environments.guarded import GuardedPlay

NAME = "reasoning_gym"

INSTRUCTIONS = (
    "Solve the puzzle. You may think first; end with a line 'Answer:' and the answer alone."
)

OPENING = "{question}\n\nYour task is to: answer this."

KINDS = (
    "chain_sum",
    "basic_arithmetic",
    "gcd",
    "count_bits",
    "leg_counting",
    "letter_counting",
    "number_sorting",
    "spell_backward",
    "word_sequence_reversal",
    "family_relationships",
)
"""Offered unless others are named: short questions, each made in under 3 ms."""

RUN_ANSWERS = (
    "binary_matrix",
    "composite",
    "countdown",
    "intermediate_integration",
    "n_queens",
    "polynomial_multiplication",
    "puzzle24",
    "simple_integration",
    "spiral_matrix",
    "string_insertion",
)
"""Their scorers evaluate the answer (`eval`, sympy's `parse_expr`): a model could run anything."""

CHANGING = ("isomorphic_strings", "knight_swap", "list_functions", "ransom_note", "word_ladder")
"""They go through sets, so the same seed makes another puzzle in another process."""

UNSOLVED = ("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour")
"""They come without an answer that their own scorer accepts."""

FULL_MARKS = 1.0

DRAWN = 4
"""Puzzles made for each one wanted, at most: those of small kinds repeat, and are used once."""

ANSWER = re.compile(r".*^\W*(?:final )?answer\W*:[ \t*]*(.*)\Z", re.DOTALL | re.IGNORECASE | re.M)

Entry: TypeAlias = dict[str, Any]  # as the package makes it


class KindError(UserError, ValueError):
    """A kind of puzzle that is not offered."""


class Reasoning(Catalogue):
    """Puzzles with one answer, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS

    def __init__(
        self,
        *,
        kinds: Sequence[str] = KINDS,
        train: int = 40,
        dev: int = 10,
        test: int = 10,
        seed: int = 0,
    ) -> None:
        """Make the puzzles: so many of each kind in each split, each question only once."""
        super().__init__(what="puzzle", forms=("KIND/SEED/PLACE",))
        package = load(NAME, "reasoning_gym")
        offered = tuple(sorted(load(NAME, "reasoning_gym.factory").DATASETS))
        counts = {Split.TEST: test, Split.DEV: dev, Split.TRAIN: train}
        self._entries: dict[str, tuple[Any, Entry]] = {}
        for kind in dict.fromkeys(kinds):
            wanted = sum(counts.values())
            maker = package.create_dataset(_offered(kind, offered), size=DRAWN * wanted, seed=seed)
            splits = (split for split, count in counts.items() for _ in range(count))
            for split, (place, entry) in zip(splits, _distinct(maker), strict=False):
                task = _task(f"{kind}/{seed}/{place}", split, kind, entry)
                self._add(task)
                self._entries[task.id] = maker, entry

    def start(self, task: Task) -> "ReasoningPlay":
        return ReasoningPlay(*self._entries[task.id])

    def gold(self, task: Task) -> tuple[str, ...]:
        return (f"Answer: {self._entries[task.id][1]['answer']}",)


class ReasoningPlay(GuardedPlay):
    """One puzzle, which one answer ends."""

    def __init__(self, maker: Any, entry: Entry) -> None:  # noqa: ANN401 - the package has no types
        self._maker = maker
        self._entry = entry
        super().__init__(ongoing(OPENING.format(question=entry["question"])))

    def _after(self, action: str) -> Observation:
        score = self._score(answer_in(action))
        right = score >= FULL_MARKS
        return solved("That is right.") if right else failed("That is wrong.")

    def _score(self, answer: str) -> float:
        try:
            return float(self._maker.score_answer(answer=answer, entry=self._entry))
        except Exception:  # noqa: BLE001 - a scorer that trips over an answer does not accept it
            return 0.0


def answer_in(text: str) -> str:
    r"""Return what comes after the last label "Answer:", or all of the text if there is none.

    >>> answer_in("4 + 3 is 7.\n**Answer:** 7")
    '7'
    """
    labelled = ANSWER.match(text)
    return (labelled[1] if labelled else text).strip()


def _offered(kind: str, known: Sequence[str]) -> str:
    reasons = {
        **dict.fromkeys(RUN_ANSWERS, "its scorer would run the answer as code"),
        **dict.fromkeys(CHANGING, "the same seed makes different puzzles of it"),
        **dict.fromkeys(UNSOLVED, "it has no answer that its scorer accepts"),
    }
    if kind in reasons:
        raise KindError(f"puzzles of kind {kind!r} are not offered: {reasons[kind]}; leave it out")
    if kind not in known:
        raise UnknownNameError("kind of puzzle", kind, tuple(k for k in known if k not in reasons))
    return kind


def _distinct(maker: Any) -> Iterator[tuple[int, Entry]]:  # noqa: ANN401 - see above
    """Give each puzzle with its place, leaving out those whose question came before."""
    seen: set[str] = set()
    for place, entry in enumerate(islice(maker, len(maker))):
        if entry["question"] not in seen:
            seen.add(entry["question"])
            yield place, entry


def _task(id: str, split: Split, kind: str, entry: Entry) -> Task:
    return Task(id=id, environment=NAME, split=split, kind=kind, goal=entry["question"])
