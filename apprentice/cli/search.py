"""`apprentice search`: the flags."""

from typing import Annotated

import typer

from apprentice.cli.flags import (
    Env,
    Exam,
    File,
    Games,
    Home,
    Json,
    Learner,
    Seed,
    Steps,
    Width,
    named_numbers,
    settings,
)

app = typer.Typer(rich_markup_mode=None)


@app.command()
def search(
    tasks: Annotated[int, typer.Option(min=1, help="Of the train split, searched.")] = 12,
    budget: Annotated[
        str | None, typer.Option("--search", help="How far: budget=STEPS,NAME=NUMBER,... [200].")
    ] = None,
    value: Annotated[
        bool, typer.Option("--value", help="Ask the value head that was kept beside the adapter.")
    ] = False,
    policy: Learner = None,
    passes: Annotated[int | None, typer.Option(min=1, help="Over the ways found [12].")] = None,
    exam: Exam = None,
    critic: Annotated[
        str | None, typer.Option(help="Of what failed: off, evidence, openai:MODEL [off].")
    ] = None,
    env: Env = None,
    games: Games = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Search train tasks, and learn from what is found: ways, better steps, values, advice."""
    from apprentice.commands.search import search as command

    chosen = settings(
        home,
        config,
        policy=policy,
        critic=critic,
        env=env,
        games=games,
        steps=steps,
        width=width,
        seed=seed,
        search=named_numbers("--search", budget),
        distill={"passes": passes, "exam": exam},
    )
    command(chosen, tasks, value=value, as_json=json)
