"""`apprentice env ...`: the flags."""

from pathlib import Path
from typing import Annotated

import typer

from apprentice.cli.flags import File, Home, Json, settings

app = typer.Typer(
    rich_markup_mode=None,
    help="Worlds to act in: what there is, and your own.",
    no_args_is_help=True,
)


@app.command("list")
def list_environments(json: Json = False) -> None:
    """List the environments: ours, and those of other packages."""
    from apprentice.commands.env import list_environments as show_list

    show_list(as_json=json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of your environment: lower case, a Python name.")],
    to: Annotated[Path, typer.Option(help="The directory to make it in.")] = Path(),
    json: Json = False,
) -> None:
    """Write a package with a small environment that works, to change into your own."""
    from apprentice.commands.env import new as write

    write(name, to, as_json=json)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Which environment.")],
    games: Annotated[Path | None, typer.Option(help="Games of its own format.")] = None,
    tasks: Annotated[int, typer.Option(min=1, help="Tasks of each split to play.")] = 17,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Say whether an environment keeps the contract, and explain each violation."""
    from apprentice.commands.env import EXIT_BROKEN
    from apprentice.commands.env import check as examine

    chosen = settings(home, config, env=name, games=games)
    if not examine(chosen, tasks, as_json=json):
        raise typer.Exit(EXIT_BROKEN)
