"""How fast the household engine is, and whether its games can be won.

Speeds are per second of processor time on one core, with the admissible actions listed and the goal
checked after every step; without --games the speed is that of generated houses.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from time import process_time

from bench.figures import Figure, flags, report
from environments.episode import Ending, Split, Task
from environments.household.household import Household

WALK = 30  # random steps per game: the usual limit of an episode
FORKS = 10_000


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = flags(__doc__)
    parser.add_argument("--games", type=Path, help="a packed games file or the official download")
    options = parser.parse_args()
    count = 200 if options.quick else 1000
    generated = Household.generated(train=count // 2, dev=count // 4, test=count // 4)
    figures: dict[str, Figure] = {}
    world = generated
    if options.games is not None:
        began = process_time()
        world = Household.from_games(options.games)
        figures["open_games_s"] = process_time() - began
    tasks = everything(world)
    stride = 10 if options.quick else 1
    figures |= speeds(world, tasks[:: max(1, len(tasks) // count)])
    if options.games is not None:
        figures |= {
            "walkthroughs_won": sum(won(world, task) for task in tasks[::stride]),
            "walkthroughs_total": len(tasks[::stride]),
        }
    else:
        figures |= {"walkthroughs_won": None, "walkthroughs_total": None}
    made = everything(generated)
    figures |= {
        "generated_solvable": sum(won(generated, task) for task in made),
        "generated_total": len(made),
    }
    report("household", figures, json_path=options.json)


def everything(world: Household) -> list[Task]:
    return [task for split in Split for task in world.tasks(split)]


def won(world: Household, task: Task) -> bool:
    """Return whether the gold actions are admissible one after the other and the last one wins."""
    play = world.start(task)
    seen = play.observation
    for action in world.gold(task) or ():
        if action not in seen.admissible:  # nothing is, after the end
            return False
        seen = play.step(action)
    return seen.ending is Ending.SOLVED


def speeds(world: Household, tasks: Sequence[Task]) -> dict[str, Figure]:
    loading = stepping = 0.0
    steps = 0
    for task in tasks:
        began = process_time()
        play = world.start(task)
        loading += process_time() - began
        actions = list(walk(world, task))
        began = process_time()
        for action in actions:
            play.step(action)
        stepping += process_time() - began
        steps += len(actions)
    return {
        "engine_steps_per_s": steps / stepping,
        "start_ms": 1000 * loading / len(tasks),
        "fork_us": forking(world, tasks[0]),
    }


def walk(world: Household, task: Task) -> Iterator[str]:
    """Give random admissible actions, chosen beforehand so that choosing is not timed."""
    play, rng = world.start(task), Random(task.id)
    for _ in range(WALK):
        action = rng.choice(play.observation.admissible)
        yield action
        if play.step(action).ending is not None:
            return


def forking(world: Household, task: Task) -> float:
    """Return the microseconds of one fork."""
    play = world.start(task)
    began = process_time()
    for _ in range(FORKS):
        play.fork()
    return 1e6 * (process_time() - began) / FORKS


if __name__ == "__main__":
    main()
