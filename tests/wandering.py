"""Episodes of real plays: an environment is played and what it says is recorded."""

from datetime import UTC, datetime

from environments.episode import Completion, Ending, Episode, Step

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HARMLESS = ("go to", "open", "close", "examine", "look", "inventory")


def recorded(world, task, actions, **changes):
    """Play these actions, up to the end of the play, and return the episode."""
    play = world.start(task)
    steps = []
    for action in actions:
        now = play.observation
        if now.ending is not None:
            break
        legal = not now.admissible or action in now.admissible
        reward = play.step(action).reward if legal else 0.0
        steps.append(
            Step(
                observation=now.text,
                admissible=now.admissible,
                completion=Completion(text=action),
                action=action if legal else None,
                reward=reward,
            )
        )
    told = {
        "id": "e1",
        "ending": play.observation.ending or Ending.TRUNCATED,
        "policy": "wanderer",
        **changes,
    }
    return Episode(
        task=task,
        steps=tuple(steps),
        closing=play.observation.text,
        seed=0,
        started=NOON,
        seconds=0.0,
        **told,
    )


def excursions(world, task, rng, *, longest=8):
    """Return gold actions with detours before each: looking around, and carrying things about."""
    play = world.start(task)
    acts = []

    def act(action):
        if action in play.observation.admissible:
            play.step(action)
            acts.append(action)

    home = None
    for gold in world.gold(task):
        for _ in range(rng.randrange(longest)):
            _wander(play, rng, act)
        if not gold.startswith("go to"):
            if home is not None:
                act(home)
            if gold not in play.observation.admissible and home is not None:
                act(home.replace("go to", "open"))
        else:
            home = gold
        act(gold)
    assert play.observation.ending is Ending.SOLVED
    return acts


def _wander(play, rng, act):
    """Do one thing that can be made good, and make it good."""
    able = [a for a in play.observation.admissible if a.startswith((*HARMLESS, "take"))]
    if not able or play.observation.ending is not None:
        return
    action = rng.choice(able)
    if not action.startswith("take"):
        act(action)
        return
    thing, _, place = action.removeprefix("take ").partition(" from ")
    back = f"move {thing} to {place}"
    after = play.fork()
    if back in after.step(action).admissible:
        act(action)
        act(back)
