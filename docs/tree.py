"""The tree in the README: every module with the first sentence of its docstring.

`python -m docs.tree` writes it anew between its markers; a test compares.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FOLDERS = ("environments", "memory", "agent", "distill", "apprentice", "bench")
BEGIN, END = "<!-- tree -->\n```\n", "```\n<!-- end of tree -->\n"
WIDTH = 128


def tree() -> str:
    """Return a line for each module, folder by folder, the lowest layer first."""
    return "".join(f"{line}\n" for folder in FOLDERS for line in _lines(ROOT / folder, 0))


def written(readme: str) -> str:
    """Return the tree as a README has it."""
    return readme.split(BEGIN)[1].split(END)[0]


def _lines(folder: Path, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{folder.name}/"
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
    """Write the tree into the README."""
    readme = README.read_text(encoding="utf-8")
    before, _, rest = readme.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{tree()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
