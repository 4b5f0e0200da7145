"""Nobody walks in circles where that leads nowhere; where it could lead on, everybody may."""

from dataclasses import replace

from agent.attempt import Attempt, Limits
from agent.play.rollout import replay
from agent.scripted import Scripted
from environments.episode import Split
from environments.household.household import Household
from environments.untried import untried
from learning import a_step
from practicing import practiced

WORLD = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=6)
LIMITS = Limits(steps=10)  # all the ways from one place, and back


def to_and_fro(turn):
    """Go to the first place there is: from anywhere else that is back where one came from."""
    return next(action for action in turn.admissible if action.startswith("go to"))


def walk(**limits):
    attempt = Attempt(id="e", task=WORLD.tasks(Split.TRAIN)[0], seed=0, run="r")
    limits = replace(LIMITS, **limits)
    (episode,) = practiced(Scripted(to_and_fro), [attempt], environment=WORLD, limits=limits)
    return episode


def test_only_what_was_done_at_the_same_sight_is_struck_and_never_everything():
    went = replace(a_step("go left"), observation="A door.", action="go left")
    assert untried("A door.", ("go left", "wait"), [went]) == ("wait",)
    assert untried("A wall.", ("go left", "wait"), [went]) == ("go left", "wait")
    assert untried("A door.", ("go left",), [went]) == ("go left",)


def test_whoever_walks_to_and_fro_gets_everywhere_in_a_world_that_says_so():
    walked = walk()
    assert len(set(walked.actions)) == 6
    sights = [(step.observation, step.action) for step in walked.steps]
    assert len(set(sights)) == len(sights)


def test_he_goes_on_to_and_fro_where_the_limits_allow_it():
    assert len(set(walk(repeat=True).actions)) == 2


def test_what_was_not_offered_is_not_in_the_record_and_the_record_replays():
    walked = walk()
    assert any(len(step.admissible) < len(walked.steps[1].admissible) for step in walked.steps[2:])
    play = WORLD.start(walked.task)
    replay(play, walked.steps)
    assert play.observation.text == walked.closing
