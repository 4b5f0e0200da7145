"""What people say of episodes: a score, a better action, a comment. Nobody else's word counts more.

Kept in the journal under the episode, so that it goes with the episode when that is forgotten.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import select

from environments.anchor import Anchor
from environments.episode import Episode
from environments.errors import UserError
from memory.knowledge.journal import Deed, Entry
from memory.store.database import Opened, writing
from memory.store.errors import UnknownIdError
from memory.store.projection import next_seq, record
from memory.store.schema import JOURNAL

SHOWN = 5
"""How many of the actions that were possible an error lists."""


class AnnotationError(UserError, ValueError):
    """What was said of an episode does not fit it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a person said of one episode."""

    id: str = ""  # empty: not kept yet, which gives the id
    episode: str
    score: int | None = None  # 1 good, -1 bad, 0 neither; None: not scored
    step: int | None = None  # the step that should have been another, from 1; None: no correction
    action: str | None = None  # what should have been done there
    note: str = ""
    by: str
    at: datetime

    @property
    def anchor(self) -> Anchor:
        return Anchor.HUMAN


class Annotations(Opened):
    """Those in a database. Safe to share between threads and processes."""

    def add(self, annotation: Annotation) -> Annotation:
        """Keep what was said, and return it with the id it was given."""
        with writing(self._engine).begin() as connection:
            kept = replace(annotation, id=f"A{next_seq(connection)}")
            record(connection, [_entry(kept)])
        return kept

    def of(self, episode: str) -> tuple[Annotation, ...]:
        """Return what was said of an episode, oldest first."""
        return self._found(episode)

    def all(self) -> tuple[Annotation, ...]:
        """Return what was said of all episodes that are not forgotten, oldest first."""
        return self._found(None)

    def some(self, ids: Sequence[str]) -> tuple[Annotation, ...]:
        """Return these, in this order.

        Raises:
            UnknownIdError: one of them is not there, or went with its episode.
        """
        known = {each.id: each for each in self.all()} if ids else {}
        for id in ids:
            if id not in known:
                raise UnknownIdError(
                    f"no annotation has the id {id!r}, or its episode was forgotten"
                )
        return tuple(known[id] for id in ids)

    def _found(self, episode: str | None) -> tuple[Annotation, ...]:
        query = select(JOURNAL.c.content).where(JOURNAL.c.deed == Deed.ANNOTATED)
        query = query.where(JOURNAL.c.content.is_not(None)).order_by(JOURNAL.c.seq)
        if episode is not None:
            query = query.where(JOURNAL.c.subject == episode)
        with self._engine.connect() as connection:
            return tuple(_read(content) for content in connection.scalars(query))


def check(annotation: Annotation, episode: Episode) -> None:
    """Refuse what does not fit the episode, or says nothing.

    Raises:
        AnnotationError: with what was wanted.
    """
    if (annotation.step is None) != (annotation.action is None):
        raise AnnotationError("a correction is --correct ACTION with --step NUMBER; give both")
    if annotation.score is None and annotation.action is None and not annotation.note:
        raise AnnotationError("nothing was said; give --score, --note, or --correct with --step")
    if annotation.step is None:
        return
    if not 1 <= annotation.step <= len(episode.steps):
        raise AnnotationError(
            f"episode {episode.id} has no step {annotation.step}; it has 1 to {len(episode.steps)}"
        )
    _check_action(str(annotation.action), episode.steps[annotation.step - 1].admissible)


def to_plain(annotation: Annotation) -> dict[str, object]:
    """Return the annotation as JSON-like values."""
    told = asdict(annotation) | {"at": annotation.at.isoformat()}
    return {**told, "anchor": annotation.anchor.value}


def _check_action(action: str, admissible: Sequence[str]) -> None:
    if not admissible or action in admissible:
        return
    from difflib import get_close_matches

    near = get_close_matches(action, admissible, n=SHOWN, cutoff=0.0)
    raise AnnotationError(f"{action!r} was not possible there; nearest: {', '.join(near)}")


def _entry(annotation: Annotation) -> Entry:
    from pydantic import TypeAdapter  # 0.1 s, which a listing need not pay

    return Entry(
        at=annotation.at,
        deed=Deed.ANNOTATED,
        subject=annotation.episode,
        by=annotation.by,
        content=TypeAdapter(Annotation).dump_json(annotation).decode(),
    )


def _read(content: str | None) -> Annotation:
    from pydantic import TypeAdapter

    return TypeAdapter(Annotation).validate_json(content or "")
