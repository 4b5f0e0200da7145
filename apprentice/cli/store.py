"""`apprentice store ...`: the flags."""

from typing import Annotated

import typer

from apprentice.cli.flags import Json

app = typer.Typer(
    rich_markup_mode=None, help="Move a store to another place.", no_args_is_help=True
)

PLACE = "a file, a home, or postgresql://USER@HOST/DATABASE"


@app.callback()
def store() -> None:
    """Move a store to another place."""


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=f"The store: {PLACE}.")],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="Empty, or an earlier copy: the same.")
    ],
    json: Json = False,
) -> None:
    """Copy all that a store holds into another database; called again, it goes on."""
    from apprentice.commands.store import copy as carry

    carry(source, target, as_json=json)
