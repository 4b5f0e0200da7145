"""`apprentice memory ...`: the flags."""

import typer

from apprentice.cli.flags import File, Home, Json, settings

app = typer.Typer(rich_markup_mode=None, help="Look after the memory itself.", no_args_is_help=True)


@app.command()
def reindex(home: Home = None, config: File = None, json: Json = False) -> None:
    """Make the vector index again from what SQL holds."""
    from apprentice.commands.memory import reindex as make_again

    make_again(settings(home, config), as_json=json)


@app.command()
def check(home: Home = None, config: File = None, json: Json = False) -> None:
    """Compare the bank with its journal, and the index with the bank."""
    from apprentice.commands.memory import EXIT_DIFFERS
    from apprentice.commands.memory import check as compare

    if not compare(settings(home, config), as_json=json):
        raise typer.Exit(EXIT_DIFFERS)
