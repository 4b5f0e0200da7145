"""`apprentice vllm ...`: the flags."""

from typing import Annotated

import typer

from apprentice.cli.flags import (
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

app = typer.Typer(
    rich_markup_mode=None,
    help="A vLLM server that acts: how true it is to the local policy, how to start it.",
    no_args_is_help=True,
)

Policy = Annotated[
    str | None, typer.Option(help="vllm[:MODEL][@ADAPTER]; the same model acts here too.")
]


@app.command()
def check(
    episodes: Annotated[int, typer.Option(min=1, help="Tasks, one attempt at each.")] = 10,
    policy: Policy = None,
    env: Env = None,
    games: Games = None,
    split: Annotated[Split, typer.Option(help="Which tasks.")] = Split.TRAIN,
    temperature: Temperature = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Play the same attempts on vLLM and here: how many are the same, how far logprobs differ."""
    from apprentice.commands.vllm import check as compare

    chosen = settings(
        home,
        config,
        policy=policy,
        env=env,
        games=games,
        temperature=temperature,
        steps=steps,
        width=width,
        seed=seed,
    )
    compare(chosen, split, episodes, as_json=json)


@app.command()
def command(
    policy: Policy = None, home: Home = None, config: File = None, json: Json = False
) -> None:
    """Print the command that starts a server elsewhere, to be named by vllm.url."""
    from apprentice.commands.vllm import command as show

    show(settings(home, config, policy=policy), as_json=json)
