"""The command line: flags in, settings and one call out.

Nothing heavy is imported here; each command imports what it needs when it is called.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from apprentice.cli.adapters import app as adapters_app
from apprentice.cli.audit import app as audit_app
from apprentice.cli.distill import app as distill_app
from apprentice.cli.env import app as env_app
from apprentice.cli.episodes import app as episodes_app
from apprentice.cli.flags import (
    Env,
    File,
    Games,
    Home,
    Json,
    Policy,
    Seed,
    Steps,
    Temperature,
    Width,
    named_numbers,
    settings,
)
from apprentice.cli.learn import app as learn_app
from apprentice.cli.memory import app as memory_app
from apprentice.cli.search import app as search_app
from apprentice.cli.skills import app as skills_app
from apprentice.cli.store import app as store_app
from apprentice.cli.vllm import app as vllm_app
from apprentice.cli.windows import app as windows_app
from environments.episode import Split
from environments.errors import UserError

EXIT_USAGE = 2

app = typer.Typer(
    rich_markup_mode=None,  # it would swallow words in brackets
    help="An agent that learns its trade from its own episodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(env_app, name="env")
app.add_typer(episodes_app, name="episodes")
app.add_typer(skills_app, name="skills")
app.add_typer(memory_app, name="memory")
app.add_typer(store_app, name="store")
app.add_typer(vllm_app, name="vllm")
app.add_typer(audit_app, name="audit")
app.add_typer(adapters_app, name="adapters")
app.add_typer(distill_app)
app.add_typer(learn_app)  # its commands stand beside the others
app.add_typer(search_app)
app.add_typer(windows_app)


def main() -> None:
    """Run the command line; what a user can mend ends as one line and an exit code."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"apprentice: {error}\n")
        sys.exit(getattr(error, "code", EXIT_USAGE))


@app.command()
def demo(
    policy: Policy = None,
    width: Width = None,
    seed: Seed = None,
    home: Annotated[Path | None, typer.Option(help="Its own place [.apprentice-demo].")] = None,
    config: File = None,
    json: Json = False,
) -> None:
    """One round of learning on the embedded defaults, offline, while you watch."""
    from apprentice.commands.demo import HOME, written_settings
    from apprentice.commands.demo import demo as play

    home = home or HOME
    file = config or written_settings(home)
    play(settings(home, file, policy=policy, width=width, seed=seed), as_json=json)


@app.command()
def run(
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 40,
    env: Env = None,
    games: Games = None,
    split: Annotated[Split, typer.Option(help="Which tasks.")] = Split.TRAIN,
    policy: Policy = None,
    graph: Annotated[
        str | None, typer.Option(help="Your own compiled LangGraph acts: module:variable.")
    ] = None,
    temperature: Temperature = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    memory: Annotated[
        str | None, typer.Option(help="off, worth, template or embedding [worth].")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Search before acting: budget=STEPS,NAME=NUMBER,...")
    ] = None,
    on: Annotated[
        str, typer.Option(help="here, ray (one of its own) or ray://HOST:PORT, a running one.")
    ] = "here",
    workers: Annotated[
        int | None, typer.Option(min=1, help="On Ray: how many [one for each processor].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    run_id: Annotated[str | None, typer.Argument(help="Which run to resume [the latest].")] = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Practise episodes and keep them."""
    from apprentice.commands.run import begin
    from apprentice.commands.run import resume as go_on
    from apprentice.spreading import Workplace

    chosen = settings(
        home,
        config,
        env=env,
        games=games,
        policy=f"graph:{graph}" if graph else policy,
        temperature=temperature,
        steps=steps,
        width=width,
        seed=seed,
        memory={"recall": memory},
        search=named_numbers("--search", search),
    )
    place = Workplace(on, workers)
    if resume or run_id:
        go_on(chosen, run_id, place, as_json=json)
    else:
        begin(chosen, split, episodes, place, as_json=json)


@app.command()
def absorb(
    run: Annotated[str | None, typer.Option(help="Only the episodes of this run.")] = None,
    critic: Annotated[
        str | None, typer.Option(help="off, evidence, openai:MODEL or local:MODEL [off].")
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="The environment of all [of each its own].")
    ] = None,
    games: Games = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Turn kept episodes into demonstrations, lessons and skills, as candidates."""
    from apprentice.commands.absorb import absorb_episodes

    chosen = settings(home, config, critic=critic, env=env, games=games)
    absorb_episodes(chosen, run, recorded=not (env or games), as_json=json)


@app.command()
def doctor(
    policy: Policy = None, home: Home = None, config: File = None, json: Json = False
) -> None:
    """Say what works on this machine and what to do about the rest."""
    from apprentice.commands.doctor import EXIT_ILL
    from apprentice.commands.doctor import doctor as examine

    if not examine(settings(home, config, policy=policy), as_json=json):
        raise typer.Exit(EXIT_ILL)
