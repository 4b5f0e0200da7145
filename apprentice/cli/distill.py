"""`apprentice distill`: the flags."""

from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.cli.flags import Env, Exam, File, Games, Home, Json, Seed, settings

if TYPE_CHECKING:
    from apprentice.settings.config import Config

app = typer.Typer(
    rich_markup_mode=None,
)


@app.command()
def distill(
    once: Annotated[
        bool, typer.Option("--once", help="Learn once and end [so by default].")
    ] = False,
    every: Annotated[str | None, typer.Option(help="Again and again, such as 30m, 6h, 1d.")] = None,
    cron: Annotated[
        str | None, typer.Option(help="At times of a cron expression, such as '0 3 * * *'.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be learned.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(help="reward+critique, reward, critique, cold-start or MODULE:PRESET."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Who goes on learning: local[:MODEL][@ADAPTER] [who acts]."),
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="At most so many [512].")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="At most so many [any].")] = None,
    minutes: Annotated[float | None, typer.Option(help="At most so many [60].")] = None,
    money: Annotated[float | None, typer.Option(help="At most, at distill.per_hour [any].")] = None,
    env: Env = None,
    games: Games = None,
    exam: Exam = None,
    seed: Seed = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Train the local model on what was kept, as a candidate adapter."""
    if sum((once, every is not None, cron is not None, dry_run)) > 1:
        raise typer.BadParameter("choose one of --once, --every, --cron and --dry-run")
    limits = {"episodes": episodes, "tokens": tokens, "minutes": minutes, "money": money}
    chosen = settings(
        home,
        config,
        policy=policy,
        env=env,
        games=games,
        seed=seed,
        distill={"preset": preset, "exam": exam, **limits},
    )
    if dry_run:
        from apprentice.commands.distill import dry_run as foretell

        foretell(chosen, as_json=json)
    else:
        _learn(chosen, every, cron, as_json=json)


def _learn(chosen: "Config", every: str | None, cron: str | None, *, as_json: bool) -> None:
    """Learn once, or at the times that were given."""
    from apprentice.commands.distill import Schedule, distill, scheduled
    from apprentice.loop.jobs import cron as at_times
    from apprentice.loop.jobs import every as at_intervals

    if every is not None:
        scheduled(chosen, Schedule(at_intervals(every), at_once=True), as_json=as_json)
    elif cron is not None:
        scheduled(chosen, Schedule(at_times(cron), at_once=False), as_json=as_json)
    else:
        distill(chosen, as_json=as_json)
