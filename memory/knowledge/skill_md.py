"""Memories as SKILL.md directories, the form that other agents read (agentskills.io, 2026-08-09).

What we know beyond that form goes into `metadata` as strings, so nothing is lost on the way back.
The body is for readers: it is rendered from the metadata and never parsed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from textwrap import indent
from typing import Any, TypeAlias

import yaml
from pydantic import ValidationError

from environments.errors import UserError
from memory.knowledge.admission import refusal
from memory.knowledge.items import Demonstration, Item, Lesson, Skill
from memory.knowledge.wire import content_from_plain, content_to_plain

PREFIX = "apprentice-"
"""Before our keys in `metadata`, which we share with whoever else writes there."""

LONGEST_DESCRIPTION = 1024
"""Characters, as the format has it."""

LARGEST = 8_000_000
"""Bytes of a file that is read: the longest item, all of it escaped. More is no skill."""

TYPES: dict[str, type[Item]] = {
    "demonstration": Demonstration,
    "lesson": Lesson,
    "skill": Skill,
}

AS_JSON = {"version", "moves", "replayed", "source", "parameters", "procedure", "demonstrations"}
"""Fields that are no text: `metadata` holds strings only, so these are JSON in a string."""

MOVES = "references/moves.json"
"""Where the moves of a demonstration are: with what was observed they are too long to lead with."""

FLOW = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
"""What begins lists in brackets: the reference reader takes none, and nested ones take PyYAML time
that grows with the square of their depth."""

Front: TypeAlias = dict[str, Any]


class SkillFileError(UserError, ValueError):
    """A SKILL.md directory cannot be written or read."""


def name_of(item: Item) -> str:
    """Return the name of an item's directory.

    Raises:
        SkillFileError: it has none, since it is in no bank.
    """
    if isinstance(item, Skill):
        return item.name
    if not re.fullmatch(r"[A-Z][0-9]+", item.id):
        raise SkillFileError(f"an item with the id {item.id!r} has no name; add it to a bank first")
    return f"{type(item).__name__.lower()}-{item.id[1:]}"


def export(item: Item) -> dict[str, str]:
    """Return the files of an item's directory, by relative path.

    Raises:
        SkillFileError: the item may not be in memory, or is in no bank.
    """
    if reason := refusal(item):
        raise SkillFileError(f"cannot export {item.id!r}: {reason}")
    plain = content_to_plain(item)
    moves = plain.pop("moves", None)
    description, body = _description(item), _body(item)
    front = {
        "name": name_of(item),
        "description": description,
        "metadata": {
            f"{PREFIX}type": type(item).__name__.lower(),
            **{f"{PREFIX}{name}": _to_text(name, value) for name, value in plain.items()},
            f"{PREFIX}sha256": _digest(description, body),
        },
    }
    files = {"SKILL.md": f"---\n{_to_yaml(front)}---\n\n{body}"}
    return files if moves is None else {**files, MOVES: _pretty(moves)}


def write(item: Item, directory: Path) -> Path:
    """Write an item's own directory into this one, and return it.

    Raises:
        SkillFileError: something else has its name there, or the item cannot be exported.
    """
    files, home = export(item), directory / name_of(item)
    if home.exists() and not _is_of(home, item.id):
        raise SkillFileError(f"{str(home)!r} exists and is not {item.id}; move it away")
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return home


def read(home: Path) -> Item:
    """Return the item whose directory this is.

    Raises:
        SkillFileError: it is none that `write` wrote, or was changed where that is not read.
    """
    front, body = _parts(home)
    ours = _ours(home, front)
    kind = TYPES.get(ours.pop("type", ""))
    if kind is None:
        raise SkillFileError(
            f"{str(home)!r} has no {PREFIX}type of {', '.join(TYPES)} in its metadata; only what "
            "was exported here can come back, since only that says where it comes from"
        )
    digest = ours.pop("sha256", None)
    if kind is Demonstration:
        ours["moves"] = _text(home / MOVES)
    item = _item(home, kind, ours)
    if front.get("name") != name_of(item):
        raise SkillFileError(f"{str(home)!r} is named {front.get('name')!r}, not {name_of(item)!r}")
    if digest not in (None, _digest(str(front.get("description")), body)):
        raise SkillFileError(
            f"{str(home)!r} was changed in its description or body, which are not read back; "
            f"change its {PREFIX} fields instead and delete {PREFIX}sha256"
        )
    return item


def _parts(home: Path) -> tuple[Front, str]:
    """Return the front matter and the body, split where the reference reader splits them."""
    text = _text(home / "SKILL.md")
    parts = text.split("---", 2)
    if not text.startswith("---") or len(parts) != len(("", "front", "body")):
        raise SkillFileError(f"{str(home / 'SKILL.md')!r} does not begin with --- YAML ---")
    try:
        if any(isinstance(token, FLOW) for token in yaml.scan(parts[1])):
            raise SkillFileError(f"{str(home / 'SKILL.md')!r} has [] or {{}} in its YAML; quote it")
        front = yaml.load(parts[1], Loader=yaml.BaseLoader)  # every scalar is a text
    except (yaml.YAMLError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise SkillFileError(f"{str(home / 'SKILL.md')!r} holds no YAML: {what}") from error
    return (front if isinstance(front, dict) else {}), parts[2]


def _ours(home: Path, front: Front) -> dict[str, str]:
    """Return our metadata without its prefix."""
    metadata = front.get("metadata")
    ours: dict[str, str] = {}
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(key, str) and key.startswith(PREFIX):
            if not isinstance(value, str):
                raise SkillFileError(f"{key} of {str(home)!r} is no text; quote it")
            ours[key.removeprefix(PREFIX)] = value
    return ours


def _item(home: Path, kind: type[Item], ours: Mapping[str, str]) -> Item:
    if unknown := sorted(ours.keys() - {field.name for field in fields(kind)}):
        raise SkillFileError(f"{str(home)!r} has {PREFIX}{unknown[0]}, which is no field of ours")
    try:
        plain = {name: json.loads(v) if name in AS_JSON else v for name, v in ours.items()}
        item = content_from_plain(kind, plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SkillFileError(f"{PREFIX}{where} of {str(home)!r}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise SkillFileError(f"{str(home)!r} holds no JSON where it should: {error}") from error
    if reason := refusal(item):
        raise SkillFileError(f"{str(home)!r} may not enter memory: {reason}")
    return item


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise SkillFileError(f"{str(path)!r} is larger than {LARGEST} bytes; it is no skill")
        return path.read_bytes().decode().replace("\r\n", "\n")
    except OSError as error:
        raise SkillFileError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SkillFileError(f"{str(path)!r} is not UTF-8 at byte {error.start}") from error


def _is_of(home: Path, id: str) -> bool:
    """Whether a directory holds an export of the item with this id."""
    try:
        return _ours(home, _parts(home)[0]).get("id") == id
    except SkillFileError:
        return False


def _to_text(name: str, value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if name in AS_JSON else str(value)


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _digest(description: str, body: str) -> str:
    return sha256(f"{description}\n{body.strip()}".encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Quotes and escapes all that a reader might take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _quoted_if_odd(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    odd = "---" in text or not text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if odd else None)


_Dumper.add_representer(str, _quoted_if_odd)


def _to_yaml(front: Front) -> str:
    """Return YAML without three hyphens in a row: the reference reader ends the front matter there.

    And without characters that turn what follows them, which YAML takes for printable. Only
    double-quoted texts hold either, and there any character may be spelled as an escape.
    """
    dumped = yaml.dump(front, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LARGEST)
    spelled = (c if c == "\n" or c.isprintable() else f"\\U{ord(c):08x}" for c in dumped)
    return "".join(spelled).replace("---", r"--\x2d")


def _description(item: Item) -> str:
    match item:
        case Skill():
            text = item.purpose
        case Lesson():
            text = f"{_sentence(item.instead)} Use when {_sentence(item.when)}"
        case Demonstration():
            done = _sentence(item.goal)
            text = f"How someone did this: {done} Use for the like in {item.environment}."
    return " ".join(_printable(text).split())[:LONGEST_DESCRIPTION].strip() or item.id


def _sentence(text: str) -> str:
    """Return it with an end, where what comes next begins a new sentence."""
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."


def _body(item: Item) -> str:
    match item:
        case Skill():
            title, sections = item.name, _sections_of_skill(item)
        case Lesson():
            title, sections = f"Lesson {item.id}", _sections_of_lesson(item)
        case Demonstration():
            title, sections = f"Demonstration {item.id}", _sections_of_demonstration(item)
    where = f"{item.environment}, {item.kind or 'tasks of every kind'}"
    head = f"# {title}\n\n{_quote(where)}\n"
    return head + "".join(f"\n## {name}\n\n{text}\n" for name, text in sections if text)


def _sections_of_skill(skill: Skill) -> list[tuple[str, str]]:
    return [
        ("What it does", _quote(skill.purpose)),
        ("Before you begin", _quote(skill.precondition)),
        ("Parameters", "\n".join(f"- {_code(name)}" for name in skill.parameters)),
        ("Procedure", _numbered(skill.procedure)),
    ]


def _sections_of_lesson(lesson: Lesson) -> list[tuple[str, str]]:
    return [
        ("When it applies", _quote(lesson.when)),
        ("What goes wrong", _quote(lesson.fault)),
        ("Why", _quote(lesson.why)),
        ("What to do instead", _quote(lesson.instead)),
        ("When not to", _quote(lesson.unless)),
    ]


def _sections_of_demonstration(demonstration: Demonstration) -> list[tuple[str, str]]:
    return [
        ("Goal", _quote(demonstration.goal)),
        ("Situation", _quote(demonstration.situation)),
        ("Actions", _numbered([move.action for move in demonstration.moves])),
        ("What was seen", f"Before each action: [{MOVES}]({MOVES})"),
    ]


def _numbered(actions: Sequence[str]) -> str:
    return "\n".join(f"{n}. {_code(action)}" for n, action in enumerate(actions, 1))


def _quote(text: str) -> str:
    """Return prose as a quotation, which no heading, fence or rule in it can leave."""
    return indent(_printable(text), "> ", lambda _: True) if text.strip() else ""


def _code(text: str) -> str:
    """Return an action as code, between more backticks than it holds itself."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * (longest + 1)
    if "\n" not in text:
        return f"{ticks} {_printable(text)} {ticks}" if longest else f"`{_printable(text)}`"
    fence = "`" * max(3, longest + 1)
    return indent(f"\n{fence}\n{_printable(text)}\n{fence}", "   ")


def _printable(text: str) -> str:
    lines = (
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        for line in text.split("\n")
    )
    return "\n".join(lines)
