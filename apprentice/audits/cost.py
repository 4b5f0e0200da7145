"""What an audit will take, said before it begins: episodes, answers of a model, and time.

Time is foretold from how fast the same model was here before, and is called a guess where it never
was.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from agent.critics.prompts.record import record
from apprentice.build import make_store
from apprentice.findings.place import newest_first
from apprentice.findings.sample import Sample, name_of
from apprentice.settings.config import Config
from memory.store.records import Run
from memory.store.store import Store

EPISODE_S = 3.0
"""Seconds of an episode where none was timed: 30 steps at 10 a second, as the embedded model makes
on two cores (python -m bench.rollout)."""

CHARACTERS_PER_S = 2_000.0
"""Characters of prompts that a model reads where none was timed: some 500 tokens a second, what the
embedded model reads on one core."""

UPDATE_S = 1.5
"""Seconds to learn from a sequence where none was timed: some 1,000 tokens, as the embedded model
learns from on two cores (python -m bench.train)."""

ENOUGH_EPISODES = 8
"""Of a run, to tell its pace: the first ones pay for the start."""

RUNS_LOOKED_AT, RECORDS_LOOKED_AT = 50, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an audit asks for."""

    episodes: int = 0  # to be played
    calls: int = 0  # answers of the judge, at most
    characters: int = 0  # of all that it is told
    updates: int = 0  # sequences that are trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """The same, with the time it takes."""

    cost: Cost
    seconds: float
    guessed: bool  # no pace of these models is known here

    def words(self) -> str:
        """Return it in a sentence."""
        parts = [f"{self.cost.episodes:,} episodes to play", f"{self.cost.calls:,} model calls"]
        if self.cost.updates:
            parts.append(f"{self.cost.updates:,} sequences to train on")
        time = f"{'a guess: ' if self.guessed else ''}about {self.seconds / 60:.1f} min"
        return f"{', '.join(parts)}; {time}"


@dataclass(slots=True)
class Spent:
    """What was really taken, in this sitting."""

    episodes: int = 0
    episode_s: float = 0.0
    calls: int = 0
    characters: int = 0
    call_s: float = 0.0
    updates: int = 0
    update_s: float = 0.0

    def told(self, announced: Announced) -> dict[str, float]:
        """Return the facts as a report keeps them."""
        return {
            "episodes": self.episodes,
            "episode_s": round(self.episode_s, 3),
            "calls": self.calls,
            "characters": self.characters,
            "call_s": round(self.call_s, 3),
            "updates": self.updates,
            "update_s": round(self.update_s, 3),
            "announced_episodes": announced.cost.episodes,
            "announced_calls": announced.cost.calls,
            "announced_updates": announced.cost.updates,
            "announced_s": round(announced.seconds, 1),
        }


def announce(config: Config, cost: Cost, judge: str, store: Store) -> Announced:
    """Return what this will take here.

    Args:
        config: the settings; its policy plays.
        cost: what is asked for.
        judge: the name of who answers; empty: nobody is asked.
        store: where finished runs tell the pace of the policy.
    """
    episode_s, reading = _episode_s(config, store), _reading(config, judge)
    update_s = _update_s(config)
    seconds = cost.episodes * (episode_s or EPISODE_S)
    seconds += cost.characters / (reading or CHARACTERS_PER_S)
    seconds += cost.updates * (update_s or UPDATE_S)
    guessed = (
        (cost.episodes > 0 and episode_s is None)
        or (cost.calls > 0 and reading is None)
        or (cost.updates > 0 and update_s is None)
    )
    return Announced(cost=cost, seconds=seconds, guessed=guessed)


def record_length(config: Config, sample: Sample, room: int) -> int:
    """Return the characters of a record in the mean; where nothing is stored, half of the room."""
    ids = [id for group in sample.groups for id in group][:RECORDS_LOOKED_AT]
    if not ids:
        return room // 2
    with make_store(config) as store:
        lengths = [len(record(store.get(id), room, closing=False)) for id in ids]
    return round(fmean(lengths))


def _episode_s(config: Config, store: Store) -> float | None:
    """Return the wall time of an episode as long, from the policy's newest audit or run."""
    name, steps = name_of(config.policy.use), config.limits.steps
    for told in _costs(config):
        alike = (told["policy"], told["steps"]) == (name, steps)
        if alike and told["episodes"] >= ENOUGH_EPISODES:
            return told["episode_s"] / told["episodes"]
    runs = [run for run in store.runs(RUNS_LOOKED_AT) if _steps(run.settings) == steps]
    return next(_paces(runs, name, store), None)


def _paces(runs: Iterable[Run], name: str, store: Store) -> Iterator[float]:
    for run in runs:
        if run.finished is None or name_of(run.policy) != name:
            continue
        episodes = store.count(run=run.id)
        if episodes >= ENOUGH_EPISODES:
            yield (run.finished - run.started).total_seconds() / episodes


def _reading(config: Config, judge: str) -> float | None:
    """Return how many characters a second this judge read last."""
    for told in _costs(config):
        if told["judge"] == judge and told["calls"] and told["call_s"]:
            return told["characters"] / told["call_s"]
    return None


def _update_s(config: Config) -> float | None:
    """Return the seconds that this policy took to learn from a sequence."""
    name = name_of(config.policy.use)
    for told in _costs(config):
        if told["policy"] == name and told.get("updates"):
            return told["update_s"] / told["updates"]
    return None


def _costs(config: Config) -> Iterator[dict[str, Any]]:
    """Yield what finished audits took, newest first."""
    for place in newest_first(config.home):
        if not place.finished:
            continue
        report = place.report
        models = report["models"]
        named = {name: models.get(name, "") for name in ("policy", "judge")}
        yield report["cost"] | named | {"steps": _steps(place.begun.settings)}


def _steps(settings: str) -> int | None:
    """Return where episodes were cut off under these settings; None: they do not say."""
    return json.loads(settings).get("limits", {}).get("steps")
