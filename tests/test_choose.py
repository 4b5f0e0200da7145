"""From a completion to an action: forgiving about form, never about content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.choose import choose

ADMISSIBLE = (
    "examine shelf 1",
    "go to desk 1",
    "go to desk 10",
    "inventory",
    "look",
    "take pen 1 from desk 1",
)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        # the whole text
        ("go to desk 1", "go to desk 1"),
        ("  Go  to\tDESK 1.\n", "go to desk 1"),
        ("> look", "look"),
        ('"look"', "look"),
        ("`take pen 1 from desk 1`", "take pen 1 from desk 1"),
        ("- inventory", "inventory"),
        # a place in the list, with or without the action
        ("2. go to desk 1", "go to desk 1"),
        ("3) go to desk 10", "go to desk 10"),
        ("5", "look"),
        ("Action: 5", "look"),
        ("7", None),
        ("0", None),
        # labels
        ("Thought: a desk.\nAction: go to desk 1", "go to desk 1"),
        ("**Next action:** Look!", "look"),
        ("Action:\n  look", "look"),
        ("Action 2: look", "look"),
        ('action: "go to desk 10"', "go to desk 10"),
        # several: the last label decides, and a label outweighs what is merely mentioned
        ("Action: look\nAction: inventory", "inventory"),
        ("Action: look\ninventory", "look"),
        ("go to desk 1\nlook", "look"),
        ('I could "look", but I rather `inventory` now.', "inventory"),
        ("Action: fly away\nlook", None),
        ("Action: look\nAction: fly away", "look"),
        ("<think>Action: inventory</think>look", "look"),
        # what is not an action is not guessed at
        ("", None),
        ("I will go to desk 1 and look around.", None),
        ("go to desk 2", None),
        ("go to", None),
        ("sing a song to the moon", None),
    ],
)
def test_an_action_is_read_from_what_was_written(text, action):
    assert choose(text, ADMISSIBLE) == action


def test_with_no_list_any_text_is_an_action_but_silence_is_none():
    assert choose("  print(1)\n", ()) == "print(1)"
    assert choose(" \n", ()) is None


def test_where_actions_are_numbers_a_number_is_never_a_place():
    assert choose("2", ("1", "5", "9")) is None
    assert choose("Action: 5.", ("1", "5", "9")) == "5"


def test_two_actions_that_differ_only_in_form_are_told_apart_by_exact_words_alone():
    assert choose("Look", ("Look", "look")) == "Look"
    assert choose("LOOK", ("Look", "look")) is None


@given(st.text(), st.lists(st.text(min_size=1), unique=True))
def test_whatever_is_written_the_answer_is_admissible_or_none(text, admissible):
    action = choose(text, admissible)
    assert action is None or not admissible or action in admissible


@given(
    st.lists(st.text(min_size=1).filter(lambda each: each == each.strip()), unique=True), st.data()
)
def test_an_action_written_exactly_is_that_action(admissible, data):
    if admissible and not any("</think>" in each for each in admissible):
        action = data.draw(st.sampled_from(admissible))
        assert choose(action, admissible) == action
