"""Does the product's loop learn in worlds that it was not made for? Before and after, in pairs.

`code`: an endpoint whose weights nobody can train practises, its failures become lessons, and what
is proved is told to it; what it solves without memory afterwards shows that nothing else changed.
`cookingworld`: the local model is shown walkthroughs and practises for one round.
"""

import asyncio
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from apprentice.build import make_bank
from apprentice.commands.absorb import absorb_episodes
from apprentice.commands.learn import learn, open_rounds
from apprentice.commands.prove import prove_items
from apprentice.commands.run import begin
from apprentice.gate.exam import MEMORY, Comparison, exam_tasks, leave, seated, sheet
from apprentice.loop.reports import record_of
from apprentice.settings.config import Config, load
from apprentice.terminal.terminal import Tally, progress
from bench.coder import CODER, CRITIC, serving
from bench.figures import Figure, flags, report
from environments.episode import Episode, Split
from memory.knowledge.items import Demonstration, Lesson, Standing

ACTOR = f"openai:{CODER}"
EXAMS = {"code": 40, "cookingworld": 24}  # dev tasks
EPISODES = 40  # of practice, where memory is all that learns

CODE: Mapping[str, Any] = {
    "environment": {"name": "code", "settings": {"tries": 2}},
    "policy": {"use": ACTOR, "width": 8},
    "critic": {"use": f"openai:{CRITIC}"},
    "memory": {"set_aside": 0.5},  # of 84 train tasks: fewer would prove no gain
}
COOKING: Mapping[str, Any] = {
    "environment": {
        "name": "textworld_express",
        "settings": {"kinds": ["cookingworld"], "train": 60, "dev": 40, "test": 1},
    },
    "limits": {"steps": 18, "repeat": False},
    "distill": {"demonstrations": 12, "passes": 5, "replay": 1, "length": 1536},
    "learn": {"tasks": 4, "attempts": 4, "steps": 16, "pairs": 0, "probes": 0},
    "gate": {"anchors": 4, "tolerated": 1, "block": 8, "tries": 0},
    "critic": {"use": "evidence"},
}
"""Small enough for about eight minutes on one thread."""
QUICK: Mapping[str, Any] = {
    "distill": {"demonstrations": 2, "passes": 1, "length": 1536, "replay": 1},
    "learn": {"tasks": 2, "attempts": 2, "steps": 8, "pairs": 0, "probes": 0},
    "limits": {"steps": 8, "repeat": False},
}
"""What differs where it shall only be seen to go through."""


def main() -> None:
    """Learn, print before and after, and write the figures where asked."""
    options = told()
    place: AbstractContextManager[str | Path] = (
        nullcontext(options.home) if options.home else TemporaryDirectory()
    )
    with place as home:
        began = monotonic()
        found = WORLDS[options.world](Path(home), options)
        figures = {**found, "seconds": monotonic() - began}
    report("worlds_learning", figures, json_path=options.json)


def told(arguments: Sequence[str] | None = None) -> Namespace:
    """Return the flags of a run; those of this process unless given."""
    parser = flags(__doc__)
    parser.add_argument("--world", choices=WORLDS, required=True)
    parser.add_argument("--tasks", type=int, help="dev tasks, before and after")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="of practice, in code")
    parser.add_argument("--admission", choices=("proof", "off"), default="proof", help="in code")
    parser.add_argument("--home", type=Path, help="where all of it is kept; else nowhere")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    options.tasks = options.tasks or EXAMS[options.world]
    if options.quick:
        fewer = 12 if options.world == "code" else 2
        vars(options).update(tasks=fewer, episodes=12, admission="off")
    return options


def code(home: Path, options: Namespace) -> dict[str, Figure]:
    """Let an endpoint practise, absorb what it did, prove what came of it, and examine it again."""
    with serving() as url:
        memory = {**CODE["memory"], "admission": options.admission}
        endpoint = {"base_url": url, "api_key": "none", "max_tokens": 4096}
        config = load({**CODE, **_here(home, options), "endpoint": endpoint, "memory": memory})
        before = sat(config, ACTOR, options.tasks, "before")
        begin(config, Split.TRAIN, options.episodes, as_json=False)
        absorb_episodes(config, None, as_json=False)
        if options.admission == "proof":
            with make_bank(config) as bank:
                lessons = [item.id for item in bank.items(type=Lesson)]
            prove_items(config, lessons, None, as_json=False)
        after = sat(config, ACTOR + MEMORY, options.tasks, "after")
        without = sat(config, ACTOR, options.tasks, "after")
    return {
        **compared(before, after),
        "solved_after_without_memory": without.solved,
        "differing_without_memory": sum(
            a.solved != b.solved for a, b in zip(before.episodes, without.episodes, strict=True)
        ),
        **remembered(config, after),
    }


def cookingworld(home: Path, options: Namespace) -> dict[str, Figure]:
    """Let the local model learn for one round, and examine it at each stage of it."""
    tree = {**COOKING, **(QUICK if options.quick else {}), **_here(home, options)}
    config = load({**tree, "learn": {**tree["learn"], "exam": options.tasks}})
    learn(config, 1, as_json=False)
    with open_rounds(config) as rounds:
        record = record_of(rounds.reports(rounds.all()[-1].id))
    assert record.start is not None
    assert record.distil is not None
    student = record.start.student
    chance = sat(config, "random", options.tasks, "")
    before = sat(config, record.start.incumbent, options.tasks, "")
    cold = sat(config, student, options.tasks, "")
    after = sat(config, record.distil.candidate or student, options.tasks, "")
    return {
        "solved_by_chance": chance.solved,
        "solved_after_cold_start": cold.solved,
        **compared(before, after),
        **{f"round_{name}": value for name, value in gain(cold, after).items()},
    }


WORLDS: Mapping[str, Callable[[Path, Namespace], dict[str, Figure]]] = {
    "code": code,
    "cookingworld": cookingworld,
}


@dataclass(frozen=True, slots=True)
class Sitting:
    """How a contender did."""

    name: str
    episodes: tuple[Episode, ...]

    @property
    def solved(self) -> int:
        return sum(each.solved for each in self.episodes)


def sat(config: Config, spec: str, tasks: int, salt: str) -> Sitting:
    """Return how a contender does at the first dev tasks; without a salt what it did before counts.

    Args:
        config: the settings.
        spec: a policy, with "+memory" if memory briefs it.
        tasks: how many.
        salt: of this sitting.
    """
    with seated(config, [spec], salt=salt) as (seat,):
        chosen = exam_tasks(seat.rig, Split.DEV, tasks)

        async def sitting() -> tuple[Episode, ...]:
            with progress(Tally(len(chosen), 0, monotonic)) as shown:
                try:
                    return await seat.sit(chosen, shown)
                finally:
                    await leave(seat)

        return Sitting(seat.name, asyncio.run(sitting()))


def compared(before: Sitting, after: Sitting) -> dict[str, Figure]:
    """Return the share solved before and after with 95 % intervals, and what was gained."""
    shares: dict[str, Figure] = {}
    for when, each in (("before", before), ("after", after)):
        interval = sheet(each.name, each.episodes).interval
        shares |= {
            f"solved_{when}": each.solved,
            f"{when}_low": interval.low,
            f"{when}_high": interval.high,
        }
    return {"tasks": len(before.episodes), **shares, **gain(before, after)}


def gain(before: Sitting, after: Sitting) -> dict[str, Figure]:
    """Return what was gained at the same tasks, with its 95 % interval and McNemar's p."""
    found = Comparison(a=sheet(before.name, before.episodes), b=sheet(after.name, after.episodes))
    return {
        "gain": found.difference,
        "gain_low": found.interval.low,
        "gain_high": found.interval.high,
        "won": found.wins,
        "lost": found.losses,
        "p": found.p,
    }


def remembered(config: Config, after: Sitting) -> dict[str, Figure]:
    """Return what memory holds, and how much of it was told in an exam."""
    with make_bank(config) as bank:
        active = bank.items(standing=Standing.ACTIVE)
        held = bank.items()
    return {
        "lessons": sum(isinstance(each, Lesson) for each in held),
        "demonstrations": sum(isinstance(each, Demonstration) for each in held),
        "active": len(active),
        "briefed": sum(bool(each.briefing) for each in after.episodes),
        "shown_examples": sum("## Solved before" in each.briefing for each in after.episodes),
        "shown_lessons": sum(each.briefing.count("## Lesson:") for each in after.episodes),
    }


def _here(home: Path, options: Namespace) -> dict[str, Any]:
    return {"home": home, "seed": options.seed}


if __name__ == "__main__":
    main()
