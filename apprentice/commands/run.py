"""`apprentice run`: practise, show how it goes, and say what it amounts to."""

import asyncio
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from apprentice.build import make_rig, make_store, run_lock
from apprentice.gate.proving import to_practise
from apprentice.gate.rollback import Production, watch_over
from apprentice.runs.runs import Rig, Watcher, carry_out, plan
from apprentice.runs.searching import Searching, acting_as, sampling
from apprentice.settings.acting import settled
from apprentice.settings.config import Config
from apprentice.settings.freezing import frozen_settings, thaw
from apprentice.spreading import Workplace, spread
from apprentice.terminal.report import Summary, summarize
from apprentice.terminal.terminal import (
    Bar,
    Lines,
    Tally,
    aside,
    inert,
    out,
    progress,
    say_json,
    table,
)
from environments.episode import Ending, Split
from environments.errors import UserError
from memory.store.records import Run

LOCALLY = Workplace()
EXIT_STOPPED = 3
EXIT_INTERRUPTED = 130


class NothingToResumeError(UserError, LookupError):
    """Every run is finished."""


class StoppedError(UserError, RuntimeError):
    """A run ended early; what is finished is kept."""

    def __init__(self, why: str, run: Run, kept: int, place: Workplace, code: int) -> None:
        command = shlex.join(["apprentice", "run", "--resume", run.id, *place.flags])
        rest = f"{kept} of {run.episodes} episodes are kept; go on with: {command}"
        super().__init__(f"{why}; {rest}")
        self.code = code


def begin(
    config: Config, split: Split, episodes: int, place: Workplace = LOCALLY, *, as_json: bool
) -> None:
    """Practise this many episodes and print what they amount to."""
    config = settled(sampling(config))
    run = new_run(config, split, episodes)
    _carry_on(config, run, place, fresh=True, as_json=as_json)


def resume(
    config: Config, run_id: str | None, place: Workplace = LOCALLY, *, as_json: bool
) -> None:
    """Carry on the run with this id, or the latest unfinished one; it may go on elsewhere."""
    with make_store(config) as store:
        run = store.run(run_id) if run_id else store.latest_unfinished_run()
    if run is None:
        raise NothingToResumeError("no unfinished run to resume; start one with: apprentice run")
    _carry_on(thaw(run.settings, config), run, place, fresh=False, as_json=as_json)


def _carry_on(config: Config, run: Run, place: Workplace, *, fresh: bool, as_json: bool) -> None:
    with make_rig(config, may_search=True) as rig:
        with spread(config, rig, place) as spread_rig:
            summary = practise(config, run, spread_rig, place, fresh=fresh)
            lost = spread_rig.fleet.lost if spread_rig.fleet is not None else 0
        held = watch_over(config, rig.store)
    if lost:
        aside().print(f"{lost} attempts were lost with their workers and played again")
    show(run, summary, held, rig.search, as_json=as_json)


def new_run(config: Config, split: Split, episodes: int) -> Run:
    """Return a run of these settings that has not begun."""
    now = datetime.now(UTC)
    return Run(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        environment=config.environment.name,
        split=split,
        policy=acting_as(config),
        seed=config.seed,
        episodes=episodes,
        started=now,
        settings=frozen_settings(config),
    )


def practise(
    config: Config,
    run: Run,
    rig: Rig,
    place: Workplace = LOCALLY,
    *,
    fresh: bool,
    watched_by: Callable[[Bar | Lines], Watcher] = lambda shown: shown,
) -> Summary:
    """Make the episodes of a run that are missing, and return what all of them amount to.

    Args:
        config: where things are.
        run: what was asked for.
        rig: who acts where.
        place: where the attempts are played, as one who goes on has to say again.
        fresh: whether the run has yet to begin.
        watched_by: given what shows the progress, who else is told.

    Raises:
        StoppedError: it was interrupted, or something that a user can mend stopped it.
    """
    tasks = rig.environment.tasks(run.split)
    if run.split is Split.TRAIN:
        tasks = to_practise(tasks, config.memory)
    attempts = plan(run, tasks)
    if fresh:
        rig.store.begin_run(run)
    tally = Tally(run.episodes, len(rig.store.episode_ids(run.id)), time.monotonic)
    try:
        with run_lock(config, run.id), progress(tally) as shown:
            asyncio.run(carry_out(run, attempts, rig, watched_by(shown)))
    except KeyboardInterrupt:
        raise StoppedError("interrupted", run, tally.done, place, EXIT_INTERRUPTED) from None
    except UserError as error:
        raise StoppedError(str(error), run, tally.done, place, EXIT_STOPPED) from error
    rows = rig.store.rows(run=run.id, limit=run.episodes)
    return summarize(rig.actor, rows, tally.seconds, tally.steps)


def show(
    run: Run,
    summary: Summary,
    held: Production | None,
    search: Searching | None,
    *,
    as_json: bool,
) -> None:
    """Print what a run amounts to, whether its policy keeps its promise, and where to look next."""
    if as_json:
        production = None if held is None else asdict(held) | {"withdrawn": held.broken}
        cost = {} if search is None else {"search": search.to_json()}
        say_json({"run": run.id, **summary.to_json(), "production": production, **cost})
        return
    console = out()
    console.print(comparison([summary]))
    broken = summary.endings.get(Ending.BROKEN, 0)
    if broken:
        console.print(f"{broken} broken; see why: apprentice episodes list --ending broken")
    if search is not None:
        console.print(search.sentence)
    if held is not None and held.broken:
        console.print(Text(inert(f"rolled back: {held.sentence}")))
    console.print(f"look at them: apprentice episodes list --run {run.id}")


def comparison(summaries: Sequence[Summary]) -> Table:
    """Return a table with a row for each batch."""
    headings = ("policy", "episodes", "solved", "95 % interval", "mean steps", "steps/s")
    return table(
        headings,
        (
            (
                each.policy,
                each.episodes,
                f"{each.solved} ({each.share:.0%})",
                f"{each.low:.0%} to {each.high:.0%}",
                f"{each.mean_steps:.1f}",
                f"{each.steps_per_s:.1f}",
            )
            for each in summaries
        ),
    )
