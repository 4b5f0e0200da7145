"""Real ALFWorld games, read from one packed file or from the official download.

Opening reads only what a catalogue needs; a problem is parsed when its task is started, so that
thousands of games cost megabytes and not gigabytes.
"""

import json
import lzma
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments.catalogue import Catalogue
from environments.episode import Split, Task
from environments.errors import UnknownNameError, UserError, refuse_unknown
from environments.household.problem import Problem, ProblemError, parse_problem

NAME = "household"

KINDS = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
"""ALFWorld's six task types, in its own order."""

SPLITS: Mapping[str, Split] = {
    "train": Split.TRAIN,
    "valid_train": Split.TRAIN,
    "valid_seen": Split.DEV,
    "valid_unseen": Split.TEST,
}
"""What each folder of the download is for."""

DOWNLOAD = "json_2.1.1"
GAME_FILE = "game.tw-pddl"
PACKED_FIELDS = {"path": str, "task": str, "problem": str, "walkthrough": list}
DOWNLOADED_FIELDS = {"grammar": str, "pddl_problem": str, "walkthrough": list}

SENTENCE = re.compile(r'Your task is to: ([^"]*?)"')
MOVABLE = re.compile("movable|Sliced")  # two kinds that ALFWorld's text games leave out


class GamesError(UserError, ValueError):
    """A file or folder that does not hold ALFWorld games."""


def known_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds as given.

    Raises:
        UnknownNameError: one is none of ALFWorld's, or there are none.
    """
    refuse_unknown("task type", kinds or ("",), KINDS)
    return tuple(kinds)


@dataclass(frozen=True, slots=True)
class Game:
    problem: Problem
    gold: tuple[str, ...]  # actions that win


class PackedGames(Catalogue):
    """Games in one file, a JSON object a line, plain (.jsonl) or compressed (.jsonl.xz)."""

    def __init__(self, path: Path, kinds: Sequence[str] = KINDS) -> None:
        self._path = path
        tasks: list[Task] = []
        self._packed: dict[str, tuple[bytes, tuple[str, ...]]] = {}
        for number, line in enumerate(_lines(path), 1):
            where = f"{path}, line {number}"
            row = _row(line, where, PACKED_FIELDS)
            task = _task(row["path"], row["task"], where)
            if task.kind in kinds:
                tasks.append(task)
                # Level 1: the text shrinks to a seventh, in a sixth of a millisecond.
                problem = zlib.compress(row["problem"].encode(), 1)
                self._packed[task.id] = problem, tuple(row["walkthrough"])
        if not tasks:
            raise GamesError(
                f"{path} holds no games of {', '.join(kinds)}; give a packed games file"
            )
        forms = (tasks[0].id, f"and {len(tasks) - 1} more")
        super().__init__(tasks, what=f"game in {path}", forms=forms)

    def game(self, task: Task) -> Game:
        problem, gold = self._packed[self.task(task.id).id]
        return Game(_problem(zlib.decompress(problem).decode(), f"{self._path}, {task.id}"), gold)


class DownloadedGames:
    """The folder that `alfworld-download` makes; a split is read when it is first asked for."""

    def __init__(self, path: Path, kinds: Sequence[str] = KINDS) -> None:
        self._path = path / DOWNLOAD if (path / DOWNLOAD).is_dir() else path
        self._kinds = kinds
        self._listed: dict[Split, tuple[Task, ...]] = {}
        if not any((self._path / name).is_dir() for name in SPLITS):
            raise GamesError(
                f"{path} has none of {', '.join(SPLITS)}; give the folder {DOWNLOAD} or its parent"
            )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        if split not in self._listed:
            self._listed[split] = tuple(self._read_split(split))
        return self._listed[split]

    def task(self, id: str) -> Task:
        folder = self._path / id
        if id.count("/") != 2 or ".." in id or not (folder / GAME_FILE).is_file():  # noqa: PLR2004
            raise UnknownNameError(f"game in {self._path}", id, ("SPLIT/TASK/TRIAL",))
        return self._read(folder / GAME_FILE)[0]

    def game(self, task: Task) -> Game:
        file = self._path / task.id / GAME_FILE
        _, content = self._read(file)
        return Game(_problem(content["pddl_problem"], str(file)), tuple(content["walkthrough"]))

    def _read_split(self, split: Split) -> Iterator[Task]:
        for name in (name for name, meaning in SPLITS.items() if meaning is split):
            for file in sorted((self._path / name).glob(f"*/*/{GAME_FILE}")):
                kind = file.parent.parent.name.partition("-")[0]
                if kind not in self._kinds or MOVABLE.search(file.parent.parent.name):
                    continue
                task, content = self._read(file)
                if content.get("solvable"):
                    yield task

    def _read(self, file: Path) -> tuple[Task, dict[str, Any]]:
        content = _row(file.read_bytes(), str(file), DOWNLOADED_FIELDS)
        sentence = SENTENCE.search(content["grammar"])
        if sentence is None:
            raise GamesError(f"{file} states no task; download it again")
        path = f"{DOWNLOAD}/{file.relative_to(self._path).as_posix()}"
        return _task(path, sentence[1], str(file)), content


def open_games(path: Path, kinds: Sequence[str] = KINDS) -> PackedGames | DownloadedGames:
    """Return the games of a packed file or of a downloaded folder.

    Raises:
        GamesError: there is no such path, or it holds something else.
    """
    if path.is_dir():
        return DownloadedGames(path, kinds)
    if not path.is_file():
        raise GamesError(
            f"no games at {path}; give a .jsonl or .jsonl.xz file or the folder {DOWNLOAD}"
        )
    return PackedGames(path, kinds)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as lines:
            yield from lines
    except EOFError:
        raise GamesError(f"{path} is cut off; copy it again") from None
    except lzma.LZMAError as error:
        raise GamesError(f"{path} is no xz file ({error}); copy it again") from None
    except OSError as error:
        raise GamesError(f"{path} cannot be read ({error.strerror}); check the path") from None


def _row(line: bytes, where: str, fields: Mapping[str, type]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        raise GamesError(f"{where} is cut off or no JSON; copy it again") from None
    found: dict[str, Any] = row if isinstance(row, dict) else {}
    missing = [name for name, form in fields.items() if not isinstance(found.get(name), form)]
    if missing:
        raise GamesError(f"{where} lacks {', '.join(missing)}; each game needs {', '.join(fields)}")
    return found


def _task(path: str, goal: str, where: str) -> Task:
    parts = str(path).split("/")
    match parts:
        case [*_, split, folder, trial, _] if split in SPLITS:
            return Task(
                id=f"{split}/{folder}/{trial}",
                environment=NAME,
                split=SPLITS[split],
                kind=folder.partition("-")[0],
                goal=goal,
            )
        case _:
            raise GamesError(
                f"{where} has path {path!r}; wanted {DOWNLOAD}/SPLIT/TASK/TRIAL/{GAME_FILE}"
            )


def _problem(text: str, where: str) -> Problem:
    try:
        return parse_problem(text)
    except ProblemError as error:
        raise GamesError(f"{where}: {error}") from None
