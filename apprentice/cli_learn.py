"""`apprentice exam` and `apprentice learn`: the flags."""

from pathlib import Path
from typing import Annotated

import typer

from apprentice.flags import File, Home, Json, settings
from environments.episode import Split

app = typer.Typer()

Env = Annotated[str | None, typer.Option("--env", help="The environment [household].")]
Games = Annotated[Path | None, typer.Option(help="ALFWorld games: packed file or folder.")]
Seed = Annotated[int | None, typer.Option(help="All randomness comes from it [0].")]
Width = Annotated[int | None, typer.Option(min=1, help="Episodes at once [16].")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps an episode may take [30].")]
Contender = "local[:MODEL][@ADAPTER], openai:MODEL or random, with +memory if it is to be briefed"


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
    temperature: Annotated[float | None, typer.Option(min=0, help="0: the likeliest [0].")] = None,
    steps: Steps = None,
    width: Width = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Compare any two policies, adapters or endpoints on the same tasks, with intervals."""
    from apprentice.commands.exam import Question, examine

    rest = {
        "seed": seed,
        "policy": {"temperature": temperature, "width": width},
        "environment": {"name": env, "games": games},
        "limits": {"steps": steps},
    }
    asked = Question(a=a, b=b, split=split, tasks=tasks, level=gate)
    examine(settings(home, config, rest), asked, as_json=json)
