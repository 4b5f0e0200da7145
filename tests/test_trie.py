from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.sequences.trie import Decision, choices, decisions, forced, grow

END = 0
APPLE_1 = (7, 8, 1, END)
APPLE_12 = (7, 8, 1, 2, END)
GO = (9, 3, END)

actions = st.sets(st.lists(st.integers(1, 4), max_size=5).map(lambda a: (*a, END)), min_size=1)


def test_the_end_token_decides_between_an_action_and_one_that_goes_on():
    tokens, node = forced(grow([APPLE_1, APPLE_12]))
    assert tokens == (7, 8, 1)
    assert node.allowed == (END, 2)


def test_an_only_action_is_forced_to_its_end():
    tokens, node = forced(grow([GO]))
    assert tokens == GO
    assert node.allowed == ()


def test_decisions_are_the_tokens_that_had_alternatives():
    assert decisions(APPLE_1, 100, [APPLE_1, APPLE_12, GO]) == (
        Decision(100, 7, (7, 9)),
        Decision(103, END, (END, 2)),
    )


@pytest.mark.parametrize("written", [(7, 5, END), (7, 8), (*GO, 4)])
def test_what_is_no_action_was_written_freely(written):
    found = decisions(written, 10, [APPLE_1, GO])
    assert [each.position for each in found] == list(range(10, 10 + len(written)))
    assert {each.allowed for each in found} == {()}


@given(actions)
def test_the_probabilities_of_all_actions_sum_to_one(actions):
    total = Fraction(0)
    for action in actions:
        chance = Fraction(1)
        for allowed in choices(grow(actions), action) or ():
            chance /= len(allowed)
        total += chance
    assert total == 1


@given(actions)
def test_every_action_was_allowed_at_each_of_its_tokens(actions):
    for action in actions:
        allowed = choices(grow(actions), action)
        assert allowed is not None
        assert all(token in options for token, options in zip(action, allowed, strict=True))
