"""Draw what a command printed: `COMMAND 2>&1 | python -m docs.picture FILE.svg`.

The picture in the README is made this way, from a real run.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

FIRST, LAST = 22, 8
"""Lines shown from the beginning and from the end."""


def main() -> None:
    """Write the picture of standard input to the file named first."""
    lines = sys.stdin.read().splitlines()
    shown = lines if len(lines) <= FIRST + LAST else [*lines[:FIRST], "...", *lines[-LAST:]]
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    for line in shown:
        console.print(Text.from_ansi(line))
    drawn = console.export_svg(title="make demo")
    local = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # asks no other machine
    Path(sys.argv[1]).write_text(local, encoding="utf-8")


if __name__ == "__main__":
    main()
