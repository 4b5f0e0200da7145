"""Flags that several commands share, and how they become settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.errors import UserError

if TYPE_CHECKING:
    from apprentice.settings.config import Config


class FlagError(UserError, ValueError):
    """A flag was given something that it does not mean."""


POLICIES = "local or vllm[:MODEL][@ADAPTER], openai:MODEL or random"

WHERE = {
    "policy": "policy.use",
    "temperature": "policy.temperature",
    "width": "policy.width",
    "env": "environment.name",
    "games": "environment.games",
    "steps": "limits.steps",
    "critic": "critic.use",
}
"""What the flags that many commands have set; any other is a setting, or a section, by its name."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Home = Annotated[Path | None, typer.Option(help="Where everything is kept [.apprentice].")]
File = Annotated[Path | None, typer.Option("--config", help="Settings [apprentice.toml].")]
Kind = Annotated[str | None, typer.Option(help="Only of this task type.")]
Limit = Annotated[int, typer.Option(min=1, help="How many.")]
Policy = Annotated[str | None, typer.Option(help=f"{POLICIES} [local:smollm2-135m].")]
Learner = Annotated[
    str | None,
    typer.Option("--policy", help="local[:MODEL][@ADAPTER] [local:smollm2-135m]."),
]
Temperature = Annotated[float | None, typer.Option(min=0, help="0: the likeliest action [0].")]
Env = Annotated[str | None, typer.Option("--env", help="The environment [household].")]
Games = Annotated[Path | None, typer.Option(help="ALFWorld games: packed file or folder.")]
Seed = Annotated[int | None, typer.Option(help="All randomness comes from it [0].")]
Width = Annotated[int | None, typer.Option(min=1, help="Episodes at once [16].")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps an episode may take [30].")]
Exam = Annotated[
    bool | None,
    typer.Option(help="Examine the candidate, and promote one that passes [yes]."),
]


def settings(home: Path | None, file: Path | None, **flags: object) -> "Config":
    """Return the settings under these flags, as `nested` has them."""
    from apprentice.settings.config import load

    return load(nested(home=home, **flags), file)


def nested(**flags: object) -> dict[str, Any]:
    """Return flags as the tree of settings has them; one that was not given is None, here too.

    >>> nested(seed=3, policy="random", width=None, gate={"pairs": 40})
    {'seed': 3, 'policy': {'use': 'random', 'width': None}, 'gate': {'pairs': 40}}
    """
    tree: dict[str, Any] = {}
    for flag, value in flags.items():
        section, _, name = WHERE.get(flag, flag).partition(".")
        if name:
            tree.setdefault(section, {})[name] = value
        else:
            tree[section] = value
    return tree


def named_numbers(flag: str, given: str | None) -> dict[str, str]:
    """Return the settings that one flag names, as in `budget=200,rollouts=2`.

    >>> named_numbers("--search", "budget=200, rollouts=2")
    {'budget': '200', 'rollouts': '2'}

    Raises:
        FlagError: a part of it is not NAME=NUMBER.
    """
    named: dict[str, str] = {}
    for part in given.split(",") if given is not None else ():
        name, equals, number = (each.strip() for each in part.partition("="))
        if not (name and equals and number):
            raise FlagError(f"{flag} {given!r}: {part!r} is not NAME=NUMBER, such as budget=200")
        named[name] = number
    return named
