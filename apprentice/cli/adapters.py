"""`apprentice adapters ...`: the flags."""

from pathlib import Path
from typing import Annotated

import typer

from apprentice.cli.flags import File, Home, Json, settings

app = typer.Typer(
    rich_markup_mode=None,
    help="What was learned into weights, and which of it acts.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The name of an adapter.")]


@app.command("list")
def list_adapters(home: Home = None, config: File = None, json: Json = False) -> None:
    """List adapters, oldest first."""
    from apprentice.commands.adapters import list_adapters as show_list

    show_list(settings(home, config), as_json=json)


@app.command()
def show(adapter: Name, home: Home = None, config: File = None, json: Json = False) -> None:
    """Say where an adapter is from, what its training came to, and how it was judged."""
    from apprentice.commands.adapters import show as show_one

    show_one(settings(home, config), adapter, as_json=json)


@app.command()
def promote(
    adapter: Name,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Although no exam has shown that it is better.")
    ] = False,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Let an adapter act from now on."""
    from apprentice.commands.adapters import promote as let_act

    let_act(settings(home, config), adapter, unproven=unproven, as_json=json)


@app.command()
def rollback(home: Home = None, config: File = None, json: Json = False) -> None:
    """Let act again what acted before the last promotion."""
    from apprentice.commands.adapters import roll_back

    roll_back(settings(home, config), as_json=json)


@app.command()
def export(
    adapter: Name,
    to: Annotated[Path, typer.Argument(help="The directory to write into.")],
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Write an adapter as one whole model, for serving anywhere."""
    from apprentice.commands.adapters import export as write

    write(settings(home, config), adapter, to, as_json=json)


@app.command()
def blame(adapter: Name, home: Home = None, config: File = None, json: Json = False) -> None:
    """List the episodes that an adapter and its ancestors learned from."""
    from apprentice.commands.adapters import blame as trace

    trace(settings(home, config), adapter, as_json=json)
