"""The command line: flags in, settings and one call out.

Nothing heavy is imported here; each command imports what it needs when it is called.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.episode import Ending, Split
from environments.errors import UserError

if TYPE_CHECKING:
    from apprentice.config import Config
    from memory.store import Filters

EXIT_USAGE = 2

app = typer.Typer(
    help="An agent that learns its trade from its own episodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
episodes_app = typer.Typer(help="Look at what was kept.", no_args_is_help=True)
app.add_typer(episodes_app, name="episodes")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Home = Annotated[Path | None, typer.Option(help="Where everything is kept [.apprentice].")]
File = Annotated[Path | None, typer.Option("--config", help="Settings [apprentice.toml].")]
Env = Annotated[str | None, typer.Option("--env", help="The environment [household].")]
Games = Annotated[Path | None, typer.Option(help="ALFWorld games: packed file or folder.")]
Policy = Annotated[
    str | None, typer.Option(help="local[:MODEL], openai:MODEL or random [local:smollm2-135m].")
]
Seed = Annotated[int | None, typer.Option(help="All randomness comes from it [0].")]
Width = Annotated[int | None, typer.Option(min=1, help="Episodes at once [16].")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps an episode may take [30].")]
Temperature = Annotated[float | None, typer.Option(min=0, help="0: the likeliest action [0].")]
RunId = Annotated[str | None, typer.Option("--run", help="Only episodes of this run.")]
EndingFilter = Annotated[Ending | None, typer.Option(help="Only episodes that ended so.")]
SplitFilter = Annotated[Split | None, typer.Option(help="Only tasks of this split.")]
Kind = Annotated[str | None, typer.Option(help="Only tasks of this type.")]
EpisodeId = Annotated[str, typer.Argument(help="An id, or its beginning.")]


def main() -> None:
    """Run the command line; what a user can mend ends as one line and an exit code."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"apprentice: {error}\n")
        sys.exit(getattr(error, "code", EXIT_USAGE))


@app.command()
def demo(
    episodes: Annotated[int, typer.Option(min=1, help="Games each policy plays.")] = 24,
    policy: Policy = None,
    temperature: Annotated[float, typer.Option(min=0, help="0: the likeliest action.")] = 1.0,
    games: Games = None,
    width: Width = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """The whole road on the embedded defaults, offline: a model acts, episodes are kept."""
    from apprentice.commands.demo import demo as play

    flags = _flags(home, seed=seed, use=policy, width=width, games=games)
    flags["policy"]["temperature"] = temperature
    play(_load(flags, config), episodes, as_json=json)


@app.command()
def run(
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 40,
    env: Env = None,
    games: Games = None,
    split: Annotated[Split, typer.Option(help="Which tasks.")] = Split.TRAIN,
    policy: Policy = None,
    temperature: Temperature = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    run_id: Annotated[str | None, typer.Argument(help="Which run to resume [the latest].")] = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Practise episodes and keep them."""
    from apprentice.commands.run import begin
    from apprentice.commands.run import resume as go_on

    flags = _flags(home, seed=seed, use=policy, width=width, games=games, env=env)
    flags["policy"]["temperature"] = temperature
    flags["limits"] = {"steps": steps}
    settings = _load(flags, config)
    if resume or run_id:
        go_on(settings, run_id, as_json=json)
    else:
        begin(settings, split, episodes, as_json=json)


@app.command()
def doctor(
    home: Home = None, config: File = None, policy: Policy = None, json: Json = False
) -> None:
    """Say what works on this machine and what to do about the rest."""
    from apprentice.commands.doctor import EXIT_ILL
    from apprentice.commands.doctor import doctor as examine

    if not examine(_load(_flags(home, use=policy), config), as_json=json):
        raise typer.Exit(EXIT_ILL)


@episodes_app.command("list")
def list_episodes(
    run: RunId = None,
    ending: EndingFilter = None,
    split: SplitFilter = None,
    kind: Kind = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """List the newest episodes."""
    from apprentice.commands.episodes import list_episodes as show_list

    filters = _filters(run, ending, split, kind)
    show_list(_load(_flags(home), config), filters, limit, as_json=json)


@episodes_app.command()
def show(episode: EpisodeId, home: Home = None, config: File = None, json: Json = False) -> None:
    """Read one episode."""
    from apprentice.commands.episodes import show as show_one

    show_one(_load(_flags(home), config), episode, as_json=json)


@episodes_app.command()
def replay(episode: EpisodeId, home: Home = None, config: File = None, json: Json = False) -> None:
    """Act an episode again and compare what is seen."""
    from apprentice.commands.episodes import EXIT_DIFFERS
    from apprentice.commands.episodes import replay as act_again

    if not act_again(_load(_flags(home), config), episode, as_json=json):
        raise typer.Exit(EXIT_DIFFERS)


@episodes_app.command()
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

    write(_load(_flags(home), config), _filters(run, ending, split, kind), to, as_json=json)


def _flags(
    home: Path | None = None,
    *,
    seed: int | None = None,
    use: str | None = None,
    width: int | None = None,
    games: Path | None = None,
    env: str | None = None,
) -> dict[str, Any]:
    return {
        "home": home,
        "seed": seed,
        "policy": {"use": use, "width": width},
        "environment": {"name": env, "games": games},
    }


def _load(flags: dict[str, Any], file: Path | None) -> "Config":
    from apprentice.config import load

    return load(flags, file)


def _filters(
    run: str | None, ending: Ending | None, split: Split | None, kind: str | None
) -> "Filters":
    return {"run": run, "ending": ending, "split": split, "kind": kind}
