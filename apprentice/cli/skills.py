"""`apprentice skills ...`: the flags. Skills, lessons and demonstrations alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.cli.flags import File, Games, Home, Json, Kind, Limit, settings
from memory.knowledge.items import Standing

if TYPE_CHECKING:
    from memory.bank.bank import ItemFilters

app = typer.Typer(
    rich_markup_mode=None, help="Look into what was learned, and judge it.", no_args_is_help=True
)

StandingFilter = Annotated[Standing | None, typer.Option(help="Only items that stand so.")]
ItemId = Annotated[str, typer.Argument(help="The id of an item.")]
Because = Annotated[str, typer.Option("--why", help="The reason; kept in the journal.")]


@app.command("list")
def list_items(
    standing: StandingFilter = None,
    kind: Kind = None,
    limit: Limit = 30,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """List skills, lessons and demonstrations, newest first."""
    from apprentice.commands.skills import list_items as show_list

    show_list(settings(home, config), _filters(standing, kind), limit, as_json=json)


@app.command()
def show(item: ItemId, home: Home = None, config: File = None, json: Json = False) -> None:
    """Read one item, with its credit."""
    from apprentice.commands.skills import show as show_one

    show_one(settings(home, config), item, as_json=json)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help="What it should be about.")],
    standing: StandingFilter = None,
    kind: Kind = None,
    limit: Limit = 10,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Find items by their words."""
    from apprentice.commands.skills import search as find

    find(settings(home, config), words, _filters(standing, kind), limit, as_json=json)


@app.command()
def why(item: ItemId, home: Home = None, config: File = None, json: Json = False) -> None:
    """Walk from an item to its critique, its steps and its episodes."""
    from apprentice.commands.skills import why as trace

    trace(settings(home, config), item, as_json=json)


@app.command()
def diff(
    item: ItemId,
    old: Annotated[int | None, typer.Option(min=1, help="A version [the one before].")] = None,
    new: Annotated[int | None, typer.Option(min=1, help="A version [the current one].")] = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Show what changed between two versions."""
    from apprentice.commands.skills import diff as compare

    compare(settings(home, config), item, old, new, as_json=json)


@app.command()
def approve(
    item: ItemId,
    why: Because = "reviewed by hand",
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Make a candidate active without a trial, by your own judgment."""
    from apprentice.commands.skills import move

    move(settings(home, config), item, Standing.ACTIVE, why, as_json=json)


@app.command()
def prove(
    items: Annotated[
        list[str] | None, typer.Argument(help="Which candidates [those that wait the longest].")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Pairs to play now for each [until decided].")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Who acts [local:smollm2-135m].")] = None,
    games: Games = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Let candidates prove in paired attempts that they help; adopt or retire them."""
    from apprentice.commands.prove import prove_items

    chosen = settings(home, config, policy=policy, games=games)
    prove_items(chosen, items or [], pairs, as_json=json)


@app.command()
def retire(
    item: ItemId,
    why: Because = "reviewed by hand",
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Take an item out of use; it is kept for its lineage."""
    from apprentice.commands.skills import move

    move(settings(home, config), item, Standing.RETIRED, why, as_json=json)


@app.command()
def export(
    to: Annotated[Path, typer.Argument(help="The directory to write into.")],
    standing: StandingFilter = Standing.ACTIVE,
    kind: Kind = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Write items as SKILL.md directories that any agent of the ecosystem reads."""
    from apprentice.commands.skills import export as write

    write(settings(home, config), to, _filters(standing, kind), as_json=json)


@app.command("import")
def import_items(
    origin: Annotated[Path, typer.Argument(help="A directory that export wrote.")],
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Read exported items back, as candidates."""
    from apprentice.commands.skills import import_items as read

    read(settings(home, config), origin, as_json=json)


def _filters(standing: Standing | None, kind: str | None) -> "ItemFilters":
    return {"standing": standing, "kind": kind}
