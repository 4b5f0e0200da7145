"""`apprentice episodes`: list, read, replay and export what was kept."""

import json
import sys
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.padding import Padding
from rich.text import Text

from apprentice.build import make_bank, make_environment, make_store
from apprentice.commands.annotate import open_annotations, tell_annotation
from apprentice.settings.config import Config
from apprentice.settings.freezing import thaw
from apprentice.terminal.terminal import SHORT_ID, ending, inert, out, say_json, table, tell
from environments.environment import Environment
from environments.episode import Episode
from environments.errors import UserError
from environments.transcript import NOT_AN_ACTION
from memory.bank.annotations import Annotation, to_plain
from memory.store.records import EpisodeRow
from memory.store.store import Filters, Store

EXIT_DIFFERS = 1


class ExportError(UserError, OSError):
    """The file to write to cannot be written."""


def list_episodes(config: Config, filters: Filters, limit: int, *, as_json: bool) -> None:
    """Print the newest matching episodes, one line each."""
    with make_store(config) as store:
        rows = store.rows(limit=limit, **filters)
        total = store.count(**filters)
    if as_json:
        say_json([asdict(row) for row in rows])
        return
    headings = ("id", "ended", "steps", "kind", "goal", "policy", "started")
    console = out()
    console.print(table(headings, (_cells(row) for row in rows)))
    if total > len(rows):
        console.print(f"{len(rows)} of {total:,}; more with --limit")


def show(config: Config, episode_id: str, *, as_json: bool) -> None:
    """Print one episode to be read."""
    with make_store(config) as store:
        episode = store.get(episode_id)
    with open_annotations(config) as kept:
        annotations = kept.of(episode.id)
    if as_json:
        sys.stdout.write(_line(episode, annotations))
        return
    console = out()
    console.print(Text.assemble(f"{episode.id}  {episode.task.kind}  ", ending(episode.ending)))
    console.print(_facts(episode))
    for number, step in enumerate(episode.steps, start=1):
        tell(console, number, step)
    console.print(Padding(Text(inert(episode.closing)), (0, 0, 0, 4), expand=False))
    if episode.error:
        console.print(Text(inert(episode.error), style="magenta"))
    for said in annotations:
        tell_annotation(console, said)


def replay(config: Config, episode_id: str, *, as_json: bool) -> bool:
    """Act an episode again, say whether the environment answers as it did, and return that."""
    with make_store(config) as store:
        episode = store.get(episode_id)
        environment = _environment_of(config, store, episode)
    differs = first_difference(environment, episode)
    if as_json:
        say_json({"id": episode.id, "steps": len(episode.steps), "differs_at": differs})
    elif differs is None:
        out().print(f"{episode.id}: all {len(episode.steps)} steps gave the same observations")
    else:
        out().print(f"{episode.id}: differs at step {differs}; the environment has changed since")
    return differs is None


def first_difference(environment: Environment, episode: Episode) -> int | None:
    """Return the number of the first step that is seen differently, counted from 1; or None."""
    play = environment.start(environment.task(episode.task.id))
    seen = play.observation.text
    for number, step in enumerate(episode.steps, start=1):
        if seen != step.observation:
            return number
        seen = NOT_AN_ACTION if step.action is None else play.step(step.action).text
    play.close()
    ends_alike = seen == episode.closing or episode.error is not None
    return None if ends_alike else len(episode.steps)


def export(config: Config, filters: Filters, file: Path | None, *, as_json: bool) -> None:
    """Write the matching episodes as JSON lines, oldest first, to a file or standard output.

    An episode that people said something of has one key more, which reading it back ignores.
    """
    written = 0
    with open_annotations(config) as kept:
        said = defaultdict[str, list[Annotation]](list)
        for each in kept.all():
            said[each.episode].append(each)
    with make_store(config) as store, _opened(file) as target:
        for episode in store.episodes(**filters):
            target.write(_line(episode, said.get(episode.id, ())))
            written += 1
    if file and as_json:
        say_json({"episodes": written, "file": str(file)})
    elif file:
        out().print(Text(f"{written} episodes written to {file}"))


def forget(config: Config, episode_id: str, why: str | None, *, as_json: bool) -> None:
    """Say what was derived from an episode, and unless `why` is None remove it all."""
    with make_store(config) as store:
        episode = store.get(episode_id).id
    with make_bank(config) as bank:
        plan = bank.would_forget(episode)
        if why is not None:
            plan = bank.forget(episode, why, datetime.now(UTC))
    kept = [each.id for each in (*plan.critiques, *plan.items)]
    if as_json:
        told = {"episode": episode, "removed": plan.removed, "kept_without_it": kept}
        say_json({**told, "done": why is not None})
        return
    console = out()
    done = (
        "is forgotten" if why is not None else "would be forgotten (nothing is done without --yes)"
    )
    console.print(Text(f"episode {episode} {done}"))
    console.print(Text(f"removed with it: {', '.join(plan.removed) or 'nothing'}"))
    console.print(Text(f"kept, without it: {', '.join(kept) or 'nothing'}"))


def _line(episode: Episode, annotations: Sequence[Annotation]) -> str:
    from environments.wire import episode_to_json

    plain = episode_to_json(episode).decode()
    if annotations:
        told = json.dumps([to_plain(each) for each in annotations], ensure_ascii=False)
        plain = f'{plain[:-1]},"annotations":{told}}}'
    return plain + "\n"


@contextmanager
def _opened(file: Path | None) -> Generator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    try:
        with file.open("w", encoding="utf-8") as target:
            yield target
    except OSError as error:
        raise ExportError(f"cannot write {str(file)!r}: {error.strerror}; choose another") from None


def _environment_of(config: Config, store: Store, episode: Episode) -> Environment:
    settings = store.run(episode.run).settings if episode.run else None
    return make_environment(thaw(settings, config) if settings else config)


def _cells(row: EpisodeRow) -> Sequence[object]:
    return (
        row.id[:SHORT_ID],
        ending(row.ending),
        row.steps,
        row.kind,
        row.goal,
        row.policy,
        f"{row.started.astimezone():%m-%d %H:%M}",
    )


def _facts(episode: Episode) -> Text:
    tokens = f"{episode.prompt_tokens:,} prompt and {episode.completion_tokens:,} written tokens"
    parts = (
        f"task {episode.task.id} ({episode.task.split})",
        f"policy {episode.policy}, seed {episode.seed}",
        f"{len(episode.steps)} steps in {episode.seconds:.1f} s, {tokens}",
    )
    return Text(inert("\n".join(parts)), style="dim")
