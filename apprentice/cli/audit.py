"""`apprentice audit ...`: the flags."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.cli.flags import (
    POLICIES,
    Env,
    File,
    Games,
    Home,
    Json,
    Kind,
    Seed,
    Steps,
    nested,
    settings,
)
from environments.episode import Split

if TYPE_CHECKING:
    from apprentice.commands.audit import Ways
    from apprentice.findings.sample import Wanted

app = typer.Typer(
    rich_markup_mode=None, help="Ask whether a signal can be trusted.", no_args_is_help=True
)

Policy = Annotated[str | None, typer.Option(help=f"Whose attempts: {POLICIES}.")]
JudgeBy = Annotated[
    str, typer.Option("--judge", help="Who judges; past: the policy before [itself].")
]
Of = Annotated[Split, typer.Option("--split", help="Tasks of this split.")]
RunId = Annotated[
    str | None, typer.Option("--run", help="Only episodes of this run; nothing is played.")
]
Tasks = Annotated[int, typer.Option(min=2, help="How many tasks.")]
Attempts = Annotated[int, typer.Option(min=1, help="Attempts at each.")]
Temperature = Annotated[float, typer.Option(min=0, help="Of the attempts.")]
Width = Annotated[int | None, typer.Option(min=1, help="Episodes, or questions, at once [16].")]
Html = Annotated[Path | None, typer.Option(help="Write the page here as well.")]
Beside = Annotated[
    Path | None, typer.Option(help="The folder of an adapter to keep the report in as well.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an unfinished one.")]
Id = Annotated[str | None, typer.Option("--id", help="Which to resume [the newest].")]


@app.command()
def gap(
    policy: Policy = None,
    judge: JudgeBy = "",
    verifiers: Annotated[
        str, typer.Option(help="How the judge is asked; the first one decides.")
    ] = "yes-no,score,tournament",
    bias: Annotated[
        bool, typer.Option("--bias", help="Also measure what the judge minds.")
    ] = False,
    env: Env = None,
    games: Games = None,
    split: Of = Split.TRAIN,
    run: RunId = None,
    kind: Kind = None,
    tasks: Tasks = 24,
    attempts: Attempts = 8,
    steps: Steps = None,
    temperature: Temperature = 1.0,
    width: Width = None,
    seed: Seed = None,
    html: Html = None,
    beside: Beside = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    id: Id = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Does a judge tell good attempts from bad better than the policy makes them?"""
    from apprentice.audits.gap import GAP, Options
    from apprentice.audits.hearing import verifiers_of
    from apprentice.commands.audit import audit

    world = nested(env=env, games=games, steps=steps, seed=seed)
    chosen = settings(home, config, policy=policy, temperature=temperature, width=width, **world)
    options = Options(
        wanted=_wanted(split, run, kind, tasks, attempts),
        judge=judge,
        verifiers=verifiers_of(verifiers),
        bias=bias,
    )
    ways = _ways(html, beside, dry_run=dry_run, resume=resume, id=id, json=json)
    audit(GAP, chosen, options, ways)


@app.command()
def calibration(
    policy: Policy = None,
    judge: Annotated[
        str, typer.Option(help="Who is asked how sure, or off [the policy itself].")
    ] = "",
    env: Env = None,
    games: Games = None,
    split: Of = Split.TRAIN,
    run: RunId = None,
    kind: Kind = None,
    tasks: Tasks = 24,
    attempts: Attempts = 8,
    steps: Steps = None,
    temperature: Temperature = 1.0,
    width: Width = None,
    seed: Seed = None,
    html: Html = None,
    beside: Beside = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    id: Id = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Do the policy's confidences mean what they say?"""
    from apprentice.audits.calibration import CALIBRATION, Options
    from apprentice.commands.audit import audit

    world = nested(env=env, games=games, steps=steps, seed=seed)
    chosen = settings(home, config, policy=policy, temperature=temperature, width=width, **world)
    options = Options(wanted=_wanted(split, run, kind, tasks, attempts), judge=judge)
    ways = _ways(html, beside, dry_run=dry_run, resume=resume, id=id, json=json)
    audit(CALIBRATION, chosen, options, ways)


@app.command()
def diversity(
    policy: Policy = None,
    base: Annotated[
        str, typer.Option(help="The policy to compare with [the model without adapters].")
    ] = "",
    base_run: Annotated[str | None, typer.Option(help="Its run, beside --run.")] = None,
    env: Env = None,
    games: Games = None,
    split: Of = Split.DEV,
    run: RunId = None,
    kind: Kind = None,
    tasks: Tasks = 16,
    attempts: Attempts = 16,
    steps: Steps = None,
    temperature: Temperature = 1.0,
    width: Width = None,
    seed: Seed = None,
    html: Html = None,
    beside: Beside = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    id: Id = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """What can a policy still do when it may try often; did training cost it range?"""
    from apprentice.audits.diversity import DIVERSITY, Options
    from apprentice.commands.audit import audit

    world = nested(env=env, games=games, steps=steps, seed=seed)
    chosen = settings(home, config, policy=policy, temperature=temperature, width=width, **world)
    options = Options(
        wanted=_wanted(split, run, kind, tasks, attempts), base=base, base_run=base_run
    )
    ways = _ways(html, beside, dry_run=dry_run, resume=resume, id=id, json=json)
    audit(DIVERSITY, chosen, options, ways)


@app.command()
def hacking(
    judge: Annotated[
        str, typer.Option(help="Who is asked about some attempts [only what critics said].")
    ] = "",
    judged: Annotated[int, typer.Option(min=8, help="Attempts it is asked about.")] = 64,
    beliefs: Annotated[
        int, typer.Option(min=0, help="Of these, how many it is asked about after every step.")
    ] = 0,
    policy: Policy = None,
    env: Env = None,
    games: Games = None,
    run: RunId = None,
    width: Width = None,
    seed: Seed = None,
    html: Html = None,
    beside: Beside = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    id: Id = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Is the reward earned, or gamed?"""
    from apprentice.audits.hacking import HACKING, Options
    from apprentice.commands.audit import audit

    world = nested(env=env, games=games, seed=seed)
    chosen = settings(home, config, policy=policy, temperature=1.0, width=width, **world)
    options = Options(judge=judge, judged=judged, beliefs=beliefs, run=run)
    ways = _ways(html, beside, dry_run=dry_run, resume=resume, id=id, json=json)
    audit(HACKING, chosen, options, ways)


@app.command()
def spurious(
    policy: Policy = None,
    twins: Annotated[
        str, typer.Option(help="What twins of the run are paid for.")
    ] = "permuted,random,inverted,format",
    clipped_only: Annotated[
        bool, typer.Option("--clipped-only", help="No runs without clipping.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of practice of each run.")] = 3,
    tasks: Annotated[int, typer.Option(min=1, help="Tasks practised a round.")] = 8,
    attempts: Annotated[int, typer.Option(min=2, help="Attempts at each.")] = 8,
    held_out: Annotated[int, typer.Option(min=2, help="Held-out tasks examined.")] = 20,
    tries: Annotated[int, typer.Option(min=1, help="Attempts at each of them.")] = 4,
    demonstrations: Annotated[
        int, typer.Option(min=0, help="Shown first, to a model without an adapter.")
    ] = 16,
    seeds: Annotated[int, typer.Option(min=1, help="Each run with so many seeds.")] = 1,
    env: Env = None,
    games: Games = None,
    steps: Steps = None,
    temperature: Temperature = 1.0,
    width: Width = None,
    seed: Seed = None,
    html: Html = None,
    beside: Beside = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    id: Id = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """How much of what training gains would a meaningless reward have gained?"""
    from apprentice.audits.lesson import Lesson
    from apprentice.audits.spurious import SPURIOUS, Options
    from apprentice.commands.audit import audit
    from distill.audit.spurious import twins_of

    world = nested(env=env, games=games, steps=steps, seed=seed)
    chosen = settings(home, config, policy=policy, temperature=temperature, width=width, **world)
    lesson = Lesson(
        rounds=rounds,
        tasks=tasks,
        attempts=attempts,
        held_out=held_out,
        tries=tries,
        demonstrations=demonstrations,
    )
    options = Options(lesson=lesson, twins=twins_of(twins), unclipped=not clipped_only, seeds=seeds)
    ways = _ways(html, beside, dry_run=dry_run, resume=resume, id=id, json=json)
    audit(SPURIOUS, chosen, options, ways)


def _wanted(split: Split, run: str | None, kind: str | None, tasks: int, attempts: int) -> "Wanted":
    from apprentice.findings.sample import Wanted

    return Wanted(split=split, run=run, kind=kind, tasks=tasks, attempts=attempts)


def _ways(
    html: Path | None,
    beside: Path | None,
    *,
    dry_run: bool,
    resume: bool,
    id: str | None,
    json: bool,
) -> "Ways":
    from apprentice.commands.audit import Ways

    return Ways(
        command=shlex.join(["apprentice", *sys.argv[1:]]),
        dry_run=dry_run,
        resume=resume or id is not None,
        id=id,
        html=html,
        beside=beside,
        as_json=json,
    )
