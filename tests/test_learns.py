"""The whole loop on a tiny model: it acts, is compared with itself, and acts better.

Demonstrations show half of the world; the other half is learned from its own attempts.
"""

import asyncio
from dataclasses import replace
from itertools import count
from random import Random

from distill.engine.engine import LocalPolicy, LocalSettings
from distill.models.student import Student
from distill.objectives.presets import PRESETS
from distill.sequences.batch import Source
from distill.sequences.collate import collate, rows_of
from distill.sequences.encode import Reading
from distill.teaching.curriculum import compared, dealt, demonstrated, grouped
from distill.teaching.teaching import taught
from distill.training.train import Pace, Training, train
from environments.episode import Ending, Episode, Split, Step
from environments.seed import derive
from environments.transcript import Turn, transcript
from learning import MOVES, NOW, RULES, a_task, an_episode, tiny_encoder, tiny_model, tokenizer

SIDES = {"door": "go left", "way": "go right"}
THINGS = {"gold": "take gold", "iron": "take iron ore"}
SOLUTIONS = {
    f"There is a {side} find {thing}": (go, take)
    for side, go in SIDES.items()
    for thing, take in THINGS.items()
}
"""What is seen first, and the only two actions that solve it."""


async def attempt(policy: LocalPolicy, opening: str, number: int) -> Episode:
    solution, steps, seen = SOLUTIONS[opening], list[Step](), opening
    for wanted in solution:
        turn = Turn(
            messages=transcript(RULES, "", steps, seen),
            admissible=MOVES,
            seed=derive(number, opening, len(steps)),
            episode=f"{opening}-{number}",
        )
        completion = await policy.complete(turn)
        right = completion.text == wanted
        last = len(steps) + 1 == len(solution)
        steps.append(
            Step(
                observation=seen,
                admissible=MOVES,
                completion=completion,
                action=completion.text,
                reward=float(right and last),
            )
        )
        seen = "It is here"
        if not right:
            break
    solved = steps[-1].reward == 1.0
    return an_episode(
        id=f"{opening}-{number}",
        task=replace(a_task(), id=opening),
        steps=tuple(steps),
        ending=Ending.SOLVED if solved else Ending.FAILED,
        closing=seen,
        started=NOW,
    )


def play(policy: LocalPolicy, attempts: int, first: int) -> list[Episode]:
    async def everyone() -> list[Episode]:
        numbers = range(first, first + attempts)
        return await asyncio.gather(
            *(attempt(policy, opening, number) for opening in SOLUTIONS for number in numbers)
        )

    return asyncio.run(everyone())


def share(episodes: list[Episode]) -> float:
    return sum(each.solved for each in episodes) / len(episodes)


def shown() -> list[Reading]:
    """Demonstrations of two of the four openings."""
    readings = []
    for opening, actions in list(SOLUTIONS.items())[:2]:
        episode = an_episode(*actions, name=opening, task=replace(a_task(), id=opening))
        first = replace(episode.steps[0], observation=opening)
        second = replace(episode.steps[1], observation="It is here")
        readings.append(
            Reading(episode=replace(episode, steps=(first, second)), source=Source.DEMONSTRATION)
        )
    return readings


def test_reward_and_critique_teach_what_no_demonstration_showed():
    rng = Random(0)
    model = tiny_model(seed=1)
    policy = LocalPolicy("tiny", model, tokenizer(), LocalSettings(lanes=16, length=256))
    training = Training(Student(model), Pace(rate=3e-3, warmup=1))
    replayed, clock = demonstrated(shown()), count()
    assert all(each.reading.episode.task.split is Split.TRAIN for each in replayed)
    before = share(play(policy, 16, 10_000))

    def learn(works, preset) -> None:
        train(training, works, preset.objective, clock=lambda: float(next(clock)))
        policy.pull()

    rows, _ = rows_of(tiny_encoder(), replayed)
    learn([collate(rows)] * 20, PRESETS["cold-start"])
    cold = share(play(policy, 16, 10_000))
    preset = PRESETS["reward+critique"]
    for number in range(12):
        chosen, _ = compared(grouped(play(policy, 16, 100 * number)), hints=True)
        steps = [*dealt(chosen, 32, rng), *dealt(replayed, 2, rng)]
        works = [collate(rows_of(tiny_encoder(), step)[0]) for step in steps]
        learn([taught(training.student, work, part_tokens=4096) for work in works], preset)
    after = share(play(policy, 16, 10_000))
    asyncio.run(policy.close())
    assert before < 0.2
    assert 0.4 < cold < 0.8  # the half that was shown
    assert after > 0.9, (before, cold, after)
