"""Flags that several commands share, and how they become settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from apprentice.config import Config

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Home = Annotated[Path | None, typer.Option(help="Where everything is kept [.apprentice].")]
File = Annotated[Path | None, typer.Option("--config", help="Settings [apprentice.toml].")]
Kind = Annotated[str | None, typer.Option(help="Only of this task type.")]
Limit = Annotated[int, typer.Option(min=1, help="How many.")]


def settings(home: Path | None, file: Path | None, rest: dict[str, Any] | None = None) -> "Config":
    """Return the settings under these flags; a flag that was not given is None."""
    from apprentice.config import load

    return load({"home": home, **(rest or {})}, file)
