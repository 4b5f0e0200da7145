"""Which memories do the weights hold by now? What they still do for success is measured.

Tasks are played with and without memory by who acts from now on. A memory that surely makes no
difference any more where it is shown has moved into the weights, and its tokens are saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.attempt import Attempt
from apprentice.gate.exam import MEMORY, leave, seated
from apprentice.runs.remember import Reminder
from apprentice.runs.runs import Watcher
from apprentice.settings.config import Config
from environments.episode import Task
from memory.knowledge.items import Item
from memory.proof.intervals import paired
from memory.proof.proof import Pair

CONFIDENCE = 0.80
"""Two-sided, of the interval that has to lie below the margin: tokens are cheaper than success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What came of it."""

    idle: tuple[str, ...]  # ids of memories without an effect
    tokens_saved: float  # mean over the tasks


async def probe(config: Config, policy: str, tasks: Sequence[Task], watcher: Watcher) -> Probed:
    """Play these train tasks with and without memory, and return what no longer matters.

    Args:
        config: the settings of an exam, and the margin.
        policy: who acts.
        tasks: of the train split: what comes of it changes memory.
        watcher: told of every step and episode.
    """
    memory = config.memory.model_copy(update={"left_out": 0.0})
    config = config.model_copy(update={"memory": memory})
    with seated(config, (policy, policy + MEMORY)) as (bare, briefed):
        reminder = briefed.rig.reminder
        assert reminder is not None
        shown = [tuple(items) for items in reminder.shown(_attempts(tasks))]
        try:
            without = await bare.sit(tasks, watcher)
            with_it = await briefed.sit(tasks, watcher)
        finally:
            await leave(bare, briefed)
        pairs: dict[str, list[Pair]] = {}
        for items, before, after in zip(shown, without, with_it, strict=True):
            pair = Pair(task=before.task.id, incumbent=before.solved, candidate=after.solved)
            for item in items:
                pairs.setdefault(item.id, []).append(pair)
        gone = idle(pairs, config.learn.idle)
        return Probed(idle=gone, tokens_saved=_saved(reminder, shown, gone))


def idle(pairs: Mapping[str, Sequence[Pair]], margin: float) -> tuple[str, ...]:
    """Return the memories whose effect is surely below a margin, in order of id.

    Args:
        pairs: by item, the tasks it is shown for, played without memory and with it.
        margin: an effect on the share solved that is not worth the tokens.
    """
    found: list[str] = []
    for item, played in sorted(pairs.items()):
        wins = sum(pair.candidate and not pair.incumbent for pair in played)
        losses = sum(pair.incumbent and not pair.candidate for pair in played)
        _, high = paired(wins, losses, len(played), CONFIDENCE).tolist()
        if high < margin:
            found.append(item)
    return tuple(found)


def _attempts(tasks: Sequence[Task]) -> list[Attempt]:
    return [Attempt(id=task.id, task=task, seed=0) for task in tasks]


def _saved(reminder: Reminder, shown: Sequence[Sequence[Item]], gone: Sequence[str]) -> float:
    """Return by how many tokens a briefing is shorter without some items."""
    space = reminder.space

    def tokens(items: Sequence[Item]) -> int:
        briefing = space.render(items)
        return space.count_tokens(briefing) if briefing else 0

    saved = [tokens(items) - tokens([i for i in items if i.id not in gone]) for items in shown]
    return sum(saved) / len(saved) if saved else 0.0
