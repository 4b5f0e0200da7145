"""Preferences between steps as the work of a training: two sequences each, told of a reference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from distill.models.student import Student
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, Work, collate, rows_of
from distill.sequences.encode import Encoder, Reading
from distill.teaching.teaching import referred
from environments.episode import Episode

BETTER, WORSE = 1.0, -1.0
"""Advantages that tell the sides of a pair apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two episodes that part after some shared steps, and end after what they are compared by."""

    name: str
    better: Episode
    worse: Episode
    shared: int  # steps
    weight: float = 1.0


def compared(pair: Pair) -> tuple[Chosen, Chosen]:
    """Return both sides; only the steps after the shared ones are learned from.

    Nobody's log-probabilities count but the reference's, hence they are read as demonstrations.
    """
    return (_side(pair, pair.better, BETTER), _side(pair, pair.worse, WORSE))


def works(
    student: Student,
    encoder: Encoder,
    pairs: Sequence[Pair],
    reference: Mapping[str, Tensor],
    *,
    per_step: int,
    part_tokens: int,
) -> Iterator[Work]:
    """Yield each step's work when its turn comes; a pair with a side that cannot be read is left.

    Args:
        student: who learns.
        encoder: reads episodes for it.
        pairs: in the order in which they are learned.
        reference: the weights that it is kept near.
        per_step: pairs an optimizer step learns from.
        part_tokens: read at once by the reference.
    """
    for start in range(0, len(pairs), per_step):
        rows = []
        for pair in pairs[start : start + per_step]:
            sides, _ = rows_of(encoder, compared(pair))
            rows += sides if len(sides) == 2 else ()  # noqa: PLR2004 - both, or none
        if rows:
            work = collate(rows, device=student.device)
            yield referred(student, work, reference, part_tokens=part_tokens)


def _side(pair: Pair, episode: Episode, advantage: float) -> Chosen:
    own = len(episode.steps) - pair.shared
    imitated = (False,) * pair.shared + (True,) * own
    reading = Reading(episode=episode, source=Source.DEMONSTRATION, imitated=imitated)
    return Chosen(reading=reading, group=pair.name, advantage=advantage, weight=pair.weight)
