"""The tree in docs/tree.md: every module with the first sentence of its docstring.

`python -m docs.tree` writes it anew; a test compares.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "tree.md"
FOLDERS = ("environments", "memory", "agent", "distill", "apprentice", "bench")
HEAD = """\
# The tree

Every module with its purpose, the lowest layer first; written by `python -m docs.tree`.
"""
WIDTH = 128


def tree() -> str:
    """Return the whole page."""
    lines = "".join(f"{line}\n" for folder in FOLDERS for line in _lines(ROOT / folder, 0))
    return f"{HEAD}\n```\n{lines}```\n"


def _lines(folder: Path, depth: int) -> Iterator[str]:
    name = f"{'  ' * depth}{folder.name}/"
    yield f"{name:<26} {_first_sentence(folder / '__init__.py')}"[:WIDTH].rstrip()
    for path in sorted(folder.iterdir(), key=lambda each: (each.is_dir(), each.name)):
        if path.is_dir() and any(path.glob("*.py")):
            yield from _lines(path, depth + 1)
        elif path.suffix == ".py" and path.stem != "__init__":
            name = f"{'  ' * (depth + 1)}{path.name}"
            yield f"{name:<26} {_first_sentence(path)}"[:WIDTH].rstrip()


def _first_sentence(path: Path) -> str:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return words.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")


def main() -> None:
    """Write the page."""
    FILE.write_text(tree(), encoding="utf-8")


if __name__ == "__main__":
    main()
