"""`apprentice episodes annotate`: a person scores, corrects or comments what was done."""

from dataclasses import replace

from rich.console import Console
from rich.text import Text

from apprentice.build import make_store, now, store_place
from apprentice.settings.config import Config
from apprentice.terminal.terminal import inert, out, say_json
from memory.bank.annotations import Annotation, Annotations, check, to_plain


def annotate(config: Config, episode_id: str, said: Annotation, *, as_json: bool) -> None:
    """Keep what a person said of an episode, if it fits it."""
    with make_store(config) as store:
        episode = store.get(episode_id)
    said = replace(said, episode=episode.id)
    check(said, episode)
    with open_annotations(config) as kept:
        said = kept.add(said)
    if as_json:
        say_json(to_plain(said))
        return
    tell_annotation(out(), said)


def open_annotations(config: Config) -> Annotations:
    """Return the annotations, in the database of the store."""
    return Annotations.open(store_place(config))


def said_now(
    score: int | None, step: int | None, action: str | None, note: str, by: str
) -> Annotation:
    """Return an annotation of an episode that is yet to be found."""
    return Annotation(episode="", score=score, step=step, action=action, note=note, by=by, at=now())


def tell_annotation(console: Console, said: Annotation) -> None:
    """Print what a person said, on one line."""
    parts = [f"score {said.score:+d}"] if said.score is not None else []
    if said.action is not None:
        parts.append(f"step {said.step} should be {said.action!r}")
    if said.note:
        parts.append(said.note)
    line = f"{said.id}  {said.by}, {said.at.astimezone():%Y-%m-%d %H:%M}: {'; '.join(parts)}"
    console.print(Text(inert(line), style="bold yellow"))
