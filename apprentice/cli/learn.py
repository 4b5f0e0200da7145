"""`apprentice exam` and `apprentice learn`: the flags."""

from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.cli.flags import (
    POLICIES,
    Env,
    File,
    Games,
    Home,
    Json,
    Seed,
    Steps,
    Temperature,
    Width,
    settings,
)
from environments.episode import Split

if TYPE_CHECKING:
    from apprentice.settings.config import Config

EXIT_DIFFERS = 1

app = typer.Typer(
    rich_markup_mode=None,
)

Contender = f"{POLICIES}, with +memory if it is to be briefed"


@app.command()
def exam(
    a: Annotated[str, typer.Option("--a", help=f"{Contender}.")],
    b: Annotated[str, typer.Option("--b", help="The other; the difference is b minus a.")],
    split: Annotated[Split, typer.Option(help="Which tasks.")] = Split.DEV,
    tasks: Annotated[int | None, typer.Option(min=2, help="The first of the split [all].")] = None,
    gate: Annotated[
        float | None, typer.Option(help="Stop when b is proven better at this level, or hopeless.")
    ] = None,
    env: Env = None,
    games: Games = None,
    temperature: Temperature = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Compare any two policies, adapters or endpoints on the same tasks, with intervals."""
    from apprentice.commands.exam import Question, examine

    chosen = settings(
        home,
        config,
        env=env,
        games=games,
        temperature=temperature,
        steps=steps,
        width=width,
        seed=seed,
    )
    asked = Question(a=a, b=b, split=split, tasks=tasks, level=gate)
    examine(chosen, asked, as_json=json)


@app.command()
def learn(
    rounds: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    preset: Annotated[
        str | None, typer.Option(help="reward+critique, reward, critique or MODULE:PRESET.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="local or vllm[:MODEL][@ADAPTER] [local:smollm2-135m].")
    ] = None,
    ahead: Annotated[
        int | None, typer.Option(min=0, help="Rounds practised while one trains [0].")
    ] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="Practised a round [12].")] = None,
    attempts: Annotated[int | None, typer.Option(min=1, help="At each task [8].")] = None,
    demonstrations: Annotated[int | None, typer.Option(min=0, help="To begin from [16].")] = None,
    exam: Annotated[int | None, typer.Option(min=2, help="Dev tasks [all].")] = None,
    critic: Annotated[
        str | None, typer.Option(help="off, openai:MODEL or local:MODEL [off].")
    ] = None,
    env: Env = None,
    games: Games = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    replay: Annotated[
        str | None, typer.Option(help="Print a finished round again and judge it again.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Trace all that was learned to its tasks.")
    ] = False,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Practise, absorb, distil, examine, promote. A round that was killed goes on first."""
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
        distill={"preset": preset, "demonstrations": demonstrations},
        learn={"tasks": tasks, "attempts": attempts, "ahead": ahead, "exam": exam},
    )
    if check or replay:
        agrees = _agrees(chosen, None if check else replay, as_json=json)
        raise typer.Exit(0 if agrees else EXIT_DIFFERS)
    from apprentice.commands import learn as command

    command.learn(chosen, rounds, as_json=json)


def _agrees(chosen: "Config", replay: str | None, *, as_json: bool) -> bool:
    """Return whether a round is judged as it was; without one, whether no exam was learned from."""
    from apprentice.commands import learn as command

    if replay is None:
        return command.check(chosen, as_json=as_json)
    return command.replay(chosen, replay, as_json=as_json)
