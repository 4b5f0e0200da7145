"""`apprentice episodes ...`: the flags."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.cli.flags import File, Home, Json, Kind, Limit, settings
from environments.episode import Ending, Split

if TYPE_CHECKING:
    from memory.store.store import Filters

app = typer.Typer(rich_markup_mode=None, help="Look at what happened.", no_args_is_help=True)

RunId = Annotated[str | None, typer.Option("--run", help="Only episodes of this run.")]
EndingFilter = Annotated[Ending | None, typer.Option(help="Only episodes that ended so.")]
SplitFilter = Annotated[Split | None, typer.Option(help="Only tasks of this split.")]
EpisodeId = Annotated[str, typer.Argument(help="An id, or its beginning.")]


@app.command("list")
def list_episodes(
    run: RunId = None,
    ending: EndingFilter = None,
    split: SplitFilter = None,
    kind: Kind = None,
    limit: Limit = 20,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """List the newest episodes."""
    from apprentice.commands.episodes import list_episodes as show_list

    filters = _filters(run, ending, split, kind)
    show_list(settings(home, config), filters, limit, as_json=json)


@app.command()
def show(
    episode: EpisodeId,
    tree: Annotated[bool, typer.Option("--tree", help="What was searched before it.")] = False,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Read one episode, or see the tree of the search that found it."""
    if tree:
        from apprentice.commands.trees import show_tree

        show_tree(settings(home, config), episode, as_json=json)
        return
    from apprentice.commands.episodes import show as show_one

    show_one(settings(home, config), episode, as_json=json)


@app.command()
def annotate(
    episode: EpisodeId,
    score: Annotated[
        int | None, typer.Option(min=-1, max=1, help="1 good, -1 bad, 0 neither.")
    ] = None,
    correct: Annotated[
        str | None, typer.Option(help="The action that --step should have been.")
    ] = None,
    step: Annotated[int | None, typer.Option(min=1, help="The step to correct.")] = None,
    note: Annotated[str, typer.Option(help="A comment.")] = "",
    by: Annotated[str, typer.Option(help="Who says so.")] = "a person",
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Score, correct or comment an episode: a person's word is an anchor."""
    from apprentice.commands.annotate import annotate as keep
    from apprentice.commands.annotate import said_now

    said = said_now(score, step, correct, note, by)
    keep(settings(home, config), episode, said, as_json=json)


@app.command()
def replay(episode: EpisodeId, home: Home = None, config: File = None, json: Json = False) -> None:
    """Act an episode again and compare what is seen."""
    from apprentice.commands.episodes import EXIT_DIFFERS
    from apprentice.commands.episodes import replay as act_again

    if not act_again(settings(home, config), episode, as_json=json):
        raise typer.Exit(EXIT_DIFFERS)


@app.command()
def export(
    to: Annotated[Path | None, typer.Option(help="The file to write [standard output].")] = None,
    run: RunId = None,
    ending: EndingFilter = None,
    split: SplitFilter = None,
    kind: Kind = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Write episodes as JSON lines, oldest first."""
    from apprentice.commands.episodes import export as write

    filters = _filters(run, ending, split, kind)
    write(settings(home, config), filters, to, as_json=json)


@app.command()
def forget(
    episode: EpisodeId,
    why: Annotated[str, typer.Option(help="Why it has to go; kept in the journal.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what would go.")] = False,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Remove an episode and its words from all that was derived from it."""
    from apprentice.commands.episodes import forget as remove

    remove(settings(home, config), episode, why if yes else None, as_json=json)


def _filters(
    run: str | None, ending: Ending | None, split: Split | None, kind: str | None
) -> "Filters":
    return {"run": run, "ending": ending, "split": split, "kind": kind}
