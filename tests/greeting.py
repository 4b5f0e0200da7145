"""A task in Harbor's layout, as files to write."""

from collections.abc import Mapping
from pathlib import Path

GREETING = {
    "instruction.md": "# Greet by name\n\nWrite `hello NAME` to /app/out.txt; name.txt has NAME.\n",
    "task.toml": '[metadata]\ncategory = "files"\n',
    "environment/Dockerfile": "FROM debian:12\n# nothing else\nWORKDIR /app\nCOPY . /app\n",
    "environment/name.txt": "bob\n",
    "environment/deep/note.txt": "look up\n",
    "solution/solve.sh": "echo hello $(cat name.txt) > /app/out.txt",
    "tests/test.sh": "grep -qx 'hello bob' /app/out.txt && cmp /tests/wanted /app/out.txt\n"
    "if [ $? = 0 ]; then echo '{\"reward\": 1}'; else echo '{\"reward\": 0}'; fi"
    " > /logs/verifier/reward.json\n",
    "tests/wanted": "hello bob\n",
}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
