"""`apprentice skills`: look into what was learned, judge it, carry it elsewhere."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.text import Text

from apprentice.build import make_bank, make_embedder, make_store
from apprentice.settings.config import Config
from apprentice.terminal.terminal import SHORT_ID, inert, out, say_json, table
from apprentice.terminal.wording import changed, headline, measured
from environments.errors import UserError
from memory.bank.bank import Bank, ItemFilters
from memory.bank.homecoming import take_in
from memory.bank.lineage import Trace
from memory.bank.lineage import why as trace
from memory.knowledge import skill_md
from memory.knowledge.items import Item, Standing, text_of
from memory.knowledge.journal import USER
from memory.making.alike import alike
from memory.proof.credit import Credit, credit

COLORS = {"-": "red", "+": "green", "@": "cyan"}


class FolderError(UserError, OSError):
    """A directory to write to or read from is not usable."""


def list_items(config: Config, filters: ItemFilters, limit: int, *, as_json: bool) -> None:
    """Print the newest matching items, one line each."""
    with make_bank(config) as bank:
        items = bank.items(**filters)[-limit:][::-1]
        _print_items(bank, items, as_json=as_json)


def search(config: Config, words: str, filters: ItemFilters, limit: int, *, as_json: bool) -> None:
    """Print the items that fit the words best."""
    with make_bank(config) as bank:
        found = [id for id, _ in bank.search_text(words, limit, **filters)]
        items = {item.id: item for item in bank.some(found)}
        _print_items(bank, [items[id] for id in found], as_json=as_json)


def show(config: Config, item_id: str, *, as_json: bool) -> None:
    """Print one item whole, and what it did so far."""
    with make_bank(config) as bank:
        item = bank.get(item_id)
        earned = credit(item.id, bank.uses(item.id))
    if as_json:
        say_json({**_plain(item), "credit": asdict(earned)})
        return
    console = out()
    console.print(Text(f"{item.id} version {item.version}, {item.standing}"))
    console.print(Text(_credit(earned), style="dim"))
    console.print(Text(inert(skill_md.export(item)["SKILL.md"])))


def why(config: Config, item_id: str, *, as_json: bool) -> None:
    """Print the tree from an item down to the steps it rests on."""
    with make_bank(config) as bank, make_store(config) as store:
        found = trace(bank, store, item_id)
    if as_json:
        say_json(_tree(found))
    else:
        out().print(Text(inert(str(found))))


def diff(config: Config, item_id: str, old: int | None, new: int | None, *, as_json: bool) -> None:
    """Print what changed from one version of an item to another."""
    with make_bank(config) as bank:
        newer = bank.get(item_id, new)
        older = bank.get(item_id, old or max(1, newer.version - 1))
    lines = list(changed(older, newer))
    if as_json:
        say_json({"id": item_id, "old": older.version, "new": newer.version, "diff": lines})
        return
    console = out()
    same = (
        f"{item_id}: versions {older.version} and {newer.version} are the same"
        if newer.version > 1
        else f"{item_id} has no version before 1"
    )
    for line in lines or [same]:
        console.print(Text(inert(line), style=COLORS.get(line[:1], "")))


def move(config: Config, item_id: str, to: Standing, why: str, *, as_json: bool) -> None:
    """Change the standing of an item by a person's judgment."""
    with make_bank(config) as bank:
        item = bank.set_standing(item_id, to, why, datetime.now(UTC), by=USER)
    if as_json:
        say_json({"id": item.id, "standing": item.standing})
    else:
        out().print(Text(f"{item.id} is {item.standing}"))


def export(config: Config, folder: Path, filters: ItemFilters, *, as_json: bool) -> None:
    """Write the matching items as SKILL.md directories."""
    with make_bank(config) as bank:
        items = bank.items(**filters)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [skill_md.write(item, folder) for item in items]
    except OSError as error:
        raise FolderError(
            f"cannot write {str(folder)!r}: {error.strerror}; choose another"
        ) from None
    _say_count(len(written), "written to", folder, as_json=as_json)


def import_items(config: Config, folder: Path, *, as_json: bool) -> None:
    """Read SKILL.md directories back; what is new in them has to prove itself here."""
    if not folder.is_dir():
        raise FolderError(f"no directory {str(folder)!r}; name one that `skills export` wrote")
    homes = sorted(file.parent for file in folder.glob("*/SKILL.md"))
    with make_bank(config) as bank:
        read = [skill_md.read(home) for home in homes]
        added = take_in(read, bank, partial(alike, bank=bank, embedder=make_embedder(config)))
    _say_count(len(added), f"of {len(read)} read from", folder, as_json=as_json)


def _print_items(bank: Bank, items: list[Item], *, as_json: bool) -> None:
    if as_json:
        say_json([_plain(item) for item in items])
        return
    headings = ("id", "v", "standing", "type", "kind", "uses", "uplift", "words")
    out().print(table(headings, (_cells(item, _earned(bank, item)) for item in items)))


def _earned(bank: Bank, item: Item) -> Credit:
    return credit(item.id, bank.uses(item.id))


def _cells(item: Item, earned: Credit) -> tuple[object, ...]:
    return (
        item.id[:SHORT_ID] if len(item.id) > 2 * SHORT_ID else item.id,
        item.version,
        item.standing,
        type(item).__name__.lower(),
        item.kind or "general",
        earned.uses,
        "-" if earned.uplift.estimate is None else measured(earned.uplift),
        headline(item),
    )


def _credit(earned: Credit) -> str:
    if not earned.uses:
        return "not recalled yet"
    tags = f"helpful {earned.helpful}, harmful {earned.harmful}"
    return f"recalled {earned.uses} times; uplift {measured(earned.uplift)}; {tags}"


def _plain(item: Item) -> dict[str, object]:
    return {"type": type(item).__name__.lower(), "text": text_of(item), **asdict(item)}


def _tree(found: Trace) -> dict[str, object]:
    return {"line": found.line, "grounds": [_tree(ground) for ground in found.grounds]}


def _say_count(count: int, what: str, folder: Path, *, as_json: bool) -> None:
    if as_json:
        say_json({"items": count, "folder": str(folder)})
    else:
        out().print(Text(f"{count} items {what} {folder}"))
