"""Facts of an attempt, found without asking anyone."""

from environments.episode import Split
from environments.household.household import Household
from memory.making.abstract import abstracted, instances, situation
from memory.making.evidence import Difference, Loop, gather, tell
from wandering import recorded
from worlds import Workshop

SHOP = Workshop()
TASK = SHOP.task("workshop/train/saw-garden")
WORLD = Household.generated(train=12)


def facts(*actions, solutions=None):
    return gather(recorded(SHOP, TASK, actions), solutions)


def test_an_action_that_shows_the_same_again_is_idle_and_a_repeat():
    found = facts("go to hall", "take saw", "take saw", "take saw")
    assert found.idle == (2, 3)
    assert [(each.action, each.steps) for each in found.repeated] == [("take saw", (2, 3))]


def test_what_was_no_action_is_told_with_its_words():
    found = facts("fly home", "go to hall")
    assert (found.illegal, found.refused) == ((0,), ("'fly home'",))


def test_the_longest_loop_is_found_with_its_round_and_how_often():
    found = facts("look around", *("go to hall", "go to cellar") * 4, "take saw")
    assert found.loop == Loop(start=2, length=2, times=3)
    assert facts("go to hall", "go to cellar", "take saw").loop is None


def test_the_first_step_off_the_way_of_another_is_told():
    found = facts("go to hall", "go to cellar", solutions={"e2": ("go to garden", "take saw")})
    assert found.difference == Difference(
        step=0, did="go to hall", instead="go to garden", whose="e2"
    )


def test_of_several_ways_the_one_that_was_followed_longest_counts():
    ways = {"a": ("go to garden", "take saw"), "b": ("go to hall", "go to garden", "take saw")}
    found = facts("go to hall", "go to cellar", solutions=ways)
    assert found.difference is not None
    assert (found.difference.step, found.difference.whose) == (1, "b")


def test_who_does_what_another_did_differs_in_nothing():
    assert facts("go to hall", solutions={"e2": ("go to hall", "take saw")}).difference is None


def test_an_action_of_a_solution_that_was_never_possible_is_a_precondition_that_never_held():
    task = next(t for t in WORLD.tasks(Split.TRAIN) if "clean" in t.kind)
    gold = WORLD.gold(task)
    found = gather(recorded(WORLD, task, ["look", "look", "inventory"]), {"gold": gold})
    assert set(found.impossible) == set(gold) - set(WORLD.start(task).observation.admissible)
    assert any("clean" in action for action in found.impossible)


def test_places_named_at_the_start_and_never_gone_to_are_told():
    task = WORLD.tasks(Split.TRAIN)[0]
    every = instances(WORLD.start(task).observation.text)
    assert len(every) > 5
    found = gather(recorded(WORLD, task, [f"go to {every[0]}", f"go to {every[2]}"]))
    assert found.unvisited == (every[1], *every[3:])


def test_words_of_the_goal_that_were_on_offer_and_never_used_are_told():
    assert facts("go to hall", "look around").neglected == ("saw",)
    assert facts("go to hall", "take saw").neglected == ()


def test_steps_are_wasted_only_where_nothing_came_of_them():
    assert not facts("go to hall", "go to cellar", "look around").wasted
    assert facts("go to hall", "take saw", "take saw").wasted


def test_the_facts_are_told_in_sentences_and_nothing_is_told_of_nothing():
    told = tell(facts("go to hall", "take saw", "take saw", "fly"))
    assert "Nothing changed by steps: 2." in told
    assert "Asked for, but never possible: 'fly'." in told
    assert tell(facts("go to hall", "take saw")) == ()


def test_a_thousand_steps_are_told_in_a_few_lines():
    told = tell(facts(*("go to hall", "go to cellar") * 500))
    assert max(map(len, told)) < 300
    assert len(told) < 12


def test_an_attempt_without_steps_has_no_faults():
    assert not facts().wasted
    assert facts().unvisited == ()


def test_abstracting_is_done_after_once_and_leaves_amounts():
    for text in ("take mug 1 from shelf 2", "disk 1 2 3", "pay $4.50 3 times", "at least 2 mugs"):
        once = abstracted(text)
        assert abstracted(once) == once
        assert instances(once) == ()
    amounts = "a task with 2 mugs, at most 30 steps, in room 2026, then return 0 or add 12"
    assert abstracted(amounts) == amounts


def test_a_situation_names_each_class_once_and_not_the_goal():
    task = WORLD.tasks(Split.TRAIN)[0]
    said = situation(WORLD.start(task).observation.text, task.goal)
    assert task.goal not in said
    assert instances(said) == ()
    assert said.count(" drawer") <= 1
