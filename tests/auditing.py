"""Households whose endings are known beforehand, and judges behind a real socket that think."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from apprentice.build import make_environment, make_store
from apprentice.settings.config import Config, load
from endpoint import Behavior, Loopback, refuses, says
from environments.environment import Environment
from environments.episode import Completion, Episode, Split, Step, Task
from loopback import running
from wandering import NOON, recorded

KINDS = ("pick_and_place_simple", "look_at_obj_in_light")


class Thinking(Loopback):
    """Answers what a function makes of the last message, and fails where that is None."""

    def __init__(self, think: Callable[[str], str | None]) -> None:
        super().__init__([])
        self._think = think

    def next_behavior(self, request: dict[str, Any]) -> Behavior:
        with self._lock:
            self.requests.append(request)
        said = self._think(request["messages"][-1]["content"])
        return refuses(500, "tired") if said is None else says(said)


@contextmanager
def thinking(think: Callable[[str], str | None]) -> Iterator[Thinking]:
    with running(Thinking(think)) as server:
        yield server


def an_audit(home, number, *, policy="p", judge="p", **verdicts) -> None:
    """Keep the report of a gap audit with these verdicts."""
    folder = home / "audits" / f"2026-{number}"
    folder.mkdir(parents=True)
    begun = {
        "id": folder.name, "audit": "gap", "command": "", "settings": "{}", "options": {},
        "started": NOON.isoformat(),
    }  # fmt: skip
    (folder / "audit.json").write_text(json.dumps(begun))
    names = ("low", "high", "decides")
    found = {kind: dict(zip(names, told, strict=True)) for kind, told in verdicts.items()}
    report = {"models": {"policy": policy, "judge": judge}, "figures": {"verdicts": found}}
    (folder / "report.json").write_text(json.dumps(report))


def a_config(home, url="", **rest) -> Config:
    endpoint = {"base_url": url, "retries": 0, "timeout_s": 10} if url else {}
    world = {"settings": {"kinds": list(KINDS), "max_receptacles": 6}}
    return load(
        {
            "home": home,
            "policy": {"use": "random", "temperature": 1.0},
            "environment": world,
            "endpoint": endpoint,
            "critic": {"votes": 1},
            **rest,
        }
    )


def stored(  # noqa: PLR0913 - a builder: every part may be chosen
    config: Config,
    *,
    tasks: int = 12,
    attempts: int = 8,
    split: Split = Split.TRAIN,
    rate: float = 0.5,
    policy: str = "random",
    first: int = 0,
) -> list[Episode]:
    """Store attempts of which a share is solved, and return them."""
    world = make_environment(config)
    episodes = [
        attempt(world, task, number, Random(f"{task.id}{number}{policy}").random() < rate, policy)
        for task in world.tasks(split)[first : first + tasks]
        for number in range(attempts)
    ]
    with make_store(config) as store:
        store.add_all(episodes)
    return episodes


def attempt(world: Environment, task: Task, number: int, solves: bool, policy: str) -> Episode:
    """Return an attempt unlike the others: looking around, and the gold actions if it solves."""
    name = f"{policy}-{task.id}-{number}".replace("/", "-")
    idle = tuple(Random(name).choices(("look", "inventory"), k=14))
    actions = (*idle, *world.gold(task)) if solves else idle
    episode = recorded(world, task, actions, id=name, policy=policy)
    steps = tuple(sure(step, Random(f"{name}{place}")) for place, step in enumerate(episode.steps))
    at = NOON + timedelta(seconds=number)
    return replace(episode, seed=number, steps=steps, temperature=1.0, started=at)


def sure(step: Step, rng: Random) -> Step:
    """Return the step as if one token with some logprob had been sampled."""
    told = Completion(
        text=step.completion.text, token_ids=(7,), logprobs=(-rng.random(),), completion_tokens=1
    )
    return replace(step, completion=told)
