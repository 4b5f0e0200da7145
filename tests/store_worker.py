"""Episodes to store, and a process of its own that stores them: `store_worker.py DB PREFIX N`."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from environments.episode import Completion, Ending, Episode, Split, Step, Task
from environments.errors import UserError
from memory.store.store import Store

MORNING = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

STEP = Step(
    observation="You arrive at fridge 1. The fridge 1 is closed.",
    admissible=("close fridge 1", "look", "open fridge 1"),
    completion=Completion(
        text="open fridge 1",
        token_ids=(4286, 26, 98),
        logprobs=(-0.1, -1.7763568394002505e-15, -3.25),
        prompt_tokens=120,
        completion_tokens=3,
    ),
    action="open fridge 1",
    reward=0.5,
)
LOST = replace(STEP, completion=Completion(text="hm \0 \N{SNOWMAN}", prompt_tokens=7), action=None)
TASK = Task(
    id="household/42", environment="household", split=Split.TRAIN, kind="cool", goal="cool a mug"
)


def an_episode(id: str = "e1", *, minute: int = 0, **changes) -> Episode:
    plain = Episode(
        id=id,
        task=TASK,
        steps=(STEP, LOST),
        ending=Ending.SOLVED,
        closing="You won!",
        policy="scripted",
        temperature=0.7,
        seed=2**64 + 1,
        briefing="Mugs are in cabinets.",
        started=MORNING + timedelta(minutes=minute),
        seconds=1.25,
        run="r1",
    )
    return replace(plain, **changes)


def main(where: str, prefix: str, many: int) -> int:
    """Add episodes one by one and say the id of each one that is stored."""
    try:
        with Store.open(where, busy_s=60) as store:
            for number in range(many):
                episode = an_episode(f"{prefix}{number:04d}", minute=number)
                store.add(replace(episode, steps=episode.steps * 20))
                sys.stdout.write(f"{episode.id}\n")
                sys.stdout.flush()
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
