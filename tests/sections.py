"""What a page of the documentation tells one to write and to type, so that a test can do it."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.\w+)\n")


class Section:
    """One section of a page."""

    def __init__(self, page: str, title: str) -> None:
        text = (DOCS / page).read_text(encoding="utf-8")
        (self._text,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)

    @property
    def files(self) -> dict[str, str]:
        """Return the blocks that begin with the name of a file, by that name."""
        named = ((FILE.match(text), text) for _, text in BLOCK.findall(self._text))
        return {name[1]: text[name.end() :] for name, text in named if name}

    @property
    def code(self) -> str:
        """Return the one block of Python that is no file."""
        (code,) = (
            text
            for language, text in BLOCK.findall(self._text)
            if language == "python" and not FILE.match(text)
        )
        return code

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the indented lines outside of blocks."""
        return tuple(re.findall(r"^    (\S.*)$", BLOCK.sub("", self._text), re.MULTILINE))

    def write(self, place: Path) -> None:
        for name, text in self.files.items():
            (place / name).write_text(text, encoding="utf-8")
