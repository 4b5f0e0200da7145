"""Tasks in Harbor's layout, read from a folder: those that need no container.

A task is a directory with `instruction.md` and `tests/test.sh`; `environment/` holds the files one
begins with, `solution/solve.sh` solves it. One whose Dockerfile does more than start from an image
and copy files needs a container, and is left out.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from environments.errors import UserError

PLAIN = re.compile(r"\s*(#.*|FROM\s.*|COPY\s.*|WORKDIR\s+/app/?\s*|CMD\s.*)?")
"""A line of a Dockerfile that asks for nothing but files in /app."""

RECIPES = ("Dockerfile", "docker-compose.yaml", "docker-compose.yml")
CATEGORY = re.compile(r'^category\s*=\s*"([^"]+)"', re.MULTILINE)
KIND = "terminal"  # of a task that names no category
LONGEST_GOAL = 200  # characters of the first line of the instruction


class FolderError(UserError, ValueError):
    """A folder without a task that can be played."""


@dataclass(frozen=True, slots=True)
class HarborTask:
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def instruction(self) -> str:
        return (self.folder / "instruction.md").read_text(encoding="utf-8").strip()

    @property
    def goal(self) -> str:
        """Return the first line of the instruction that says something."""
        lines = (line.lstrip("# ").strip() for line in self.instruction.splitlines())
        return next((line for line in lines if line), "")[:LONGEST_GOAL].strip()

    @property
    def kind(self) -> str:
        settings = self.folder / "task.toml"
        found = CATEGORY.search(settings.read_text(encoding="utf-8")) if settings.exists() else None
        return found[1] if found else KIND

    @property
    def solution(self) -> str | None:
        """Return the script that solves it, or None if there is none."""
        script = self.folder / "solution" / "solve.sh"
        return script.read_text(encoding="utf-8").strip() if script.exists() else None

    @property
    def files(self) -> bytes:
        """Return what one begins with, packed as the directory `app`."""
        return packed(self.folder / "environment", "app", without=RECIPES)

    @property
    def tests(self) -> bytes:
        return packed(self.folder / "tests", ".")


def read_tasks(folder: Path) -> tuple[HarborTask, ...]:
    """Return the tasks of a folder that need no container, by name.

    Raises:
        FolderError: there is none.
    """
    found = [path.parent for path in sorted(folder.glob("*/instruction.md"))]
    complete = [path for path in found if (path / "tests" / "test.sh").is_file()]
    plain = [HarborTask(path) for path in complete if not needs_container(path)]
    if not plain:
        raise FolderError(
            f"{folder} holds {len(complete)} tasks with instruction.md and tests/test.sh, and none "
            "of them does without a container; give a folder of such tasks"
        )
    return tuple(plain)


def needs_container(folder: Path) -> bool:
    """Return whether a task asks for more than files in /app."""
    recipes = [folder / "environment" / name for name in RECIPES]
    if any(recipe.exists() for recipe in recipes[1:]):
        return True
    return recipes[0].exists() and not all(
        PLAIN.fullmatch(line) for line in recipes[0].read_text(encoding="utf-8").splitlines()
    )


def packed(folder: Path, inside: str, without: tuple[str, ...] = ()) -> bytes:
    """Return a folder as a tar file in which it is called `inside`; empty if there is none."""
    if not folder.is_dir():
        return b""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in _files(folder):
            if path.name not in without:
                tar.add(path, f"{inside}/{path.relative_to(folder).as_posix()}", recursive=False)
    return content.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    """Give the plain files beneath a folder; a link could lead out of it."""
    yield from (
        path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()
    )
