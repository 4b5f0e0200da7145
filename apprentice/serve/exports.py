"""What was lived, as rows that other trainers read: TRL's conversational forms, or Parquet of them.

Train tasks only, whatever is asked for: what decides what is adopted must not be learned from by
anyone else's trainer either. What memory said is left out, so that a trainer internalises it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from agent.endpoints.chat import as_chat
from apprentice.serve.export_form import Form
from environments.episode import Ending, Episode, Split
from environments.errors import UserError
from environments.transcript import retell, transcript
from memory.bank.bank import Bank
from memory.store.store import Store

Row = dict[str, Any]

TOGETHER = 256
"""Rows written to Parquet at once: some megabytes."""

PARQUET = ".parquet"


class ExportError(UserError, OSError):
    """Rows that cannot be written."""


def rows(form: Form, store: Store, bank: Bank, instructions: str) -> Iterator[Row]:
    """Yield the rows of a form, of train tasks.

    Args:
        form: what a row is.
        store: the episodes.
        bank: what critics said of them.
        instructions: the system message of the world.
    """
    lived = (
        episode
        for episode in store.episodes(split=Split.TRAIN)
        if episode.ending is not Ending.BROKEN and episode.steps
    )
    match form:
        case Form.EPISODES:
            return (_whole(each, instructions) for each in lived)
        case Form.DEMONSTRATIONS:
            return _steps((each for each in lived if each.solved), instructions)
        case Form.PREFERENCES:
            return _preferences(lived, instructions)
        case Form.PRIVILEGED:
            return _privileged(lived, bank, instructions)


def write(found: Iterable[Row], file: Path) -> int:
    """Write rows as JSON lines, or as Parquet where the file is named so; return how many.

    Raises:
        ExportError: the file cannot be written, or pyarrow is missing.
    """
    try:
        return _as_parquet(found, file) if file.suffix == PARQUET else _as_lines(found, file)
    except OSError as error:
        raise ExportError(f"cannot write {str(file)!r}: {error.strerror}; choose another") from None


def _whole(episode: Episode, instructions: str) -> Row:
    return {
        "messages": as_chat(retell(episode, instructions, briefed=False)),
        "reward": episode.reward,
        **_facts(episode),
    }


def _steps(lived: Iterable[Episode], instructions: str) -> Iterator[Row]:
    for episode in lived:
        for place, step in enumerate(episode.steps):
            if step.action is not None:
                said = _said(step.completion.text)
                yield {**_prompt(episode, place, instructions), "completion": said}


def _preferences(lived: Iterable[Episode], instructions: str) -> Iterator[Row]:
    """Yield, for each task, what a solved attempt did where an unsolved one did something else.

    Only where both had seen the same until then: else the two answers are to different questions.
    """
    attempts = defaultdict[str, list[Episode]](list)
    for episode in lived:
        attempts[episode.task.id].append(episode)
    for group in attempts.values():
        good = [each for each in group if each.solved]
        bad = [each for each in group if not each.solved]
        for chosen, rejected in zip(good, bad, strict=False):
            place = _parting(chosen, rejected)
            if place is not None:
                yield {
                    **_prompt(chosen, place, instructions),
                    "chosen": _said(chosen.steps[place].completion.text),
                    "rejected": _said(rejected.steps[place].completion.text),
                }


def _privileged(lived: Iterable[Episode], bank: Bank, instructions: str) -> Iterator[Row]:
    for episode in lived:
        for critique in bank.critiques(episode.id):
            for place in sorted({each.step for each in critique.citations}):
                if critique.hint and place < len(episode.steps):
                    yield {
                        **_prompt(episode, place, instructions),
                        "privileged_context": critique.hint,
                        "completion": _said(episode.steps[place].completion.text),
                    }


def _parting(chosen: Episode, rejected: Episode) -> int | None:
    """Return the first step at which two attempts saw the same and acted otherwise."""
    for place, (mine, other) in enumerate(zip(chosen.steps, rejected.steps, strict=False)):
        if mine.observation != other.observation or mine.action is None:
            return None
        if mine.action != other.action:
            return place
    return None


def _prompt(episode: Episode, place: int, instructions: str) -> Row:
    """Return all that was read before a step acted, and what the episode is."""
    seen = transcript(instructions, "", episode.steps[:place], episode.steps[place].observation)
    return {"prompt": as_chat(seen), **_facts(episode)}


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _facts(episode: Episode) -> Row:
    return {
        "episode": episode.id,
        "task": episode.task.id,
        "kind": episode.task.kind,
        "ending": episode.ending.value,
        "policy": episode.policy,
    }


def _as_lines(found: Iterable[Row], file: Path) -> int:
    written = 0
    with file.open("w", encoding="utf-8") as target:
        for row in found:
            target.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def _as_parquet(found: Iterable[Row], file: Path) -> int:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise ExportError("Parquet needs pyarrow; run: pip install pyarrow") from None
    remaining, written = iter(found), 0
    batch = list(islice(remaining, TOGETHER))
    chat = arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    kinds = {list: chat, float: arrow.float64(), str: arrow.string()}
    first = batch[0] if batch else {}
    schema = arrow.schema([(name, kinds[type(each)]) for name, each in first.items()])
    with parquet.ParquetWriter(file, schema) as target:
        while batch:
            target.write_table(arrow.Table.from_pylist(batch, schema=schema))
            written += len(batch)
            batch = list(islice(remaining, TOGETHER))
    return written
