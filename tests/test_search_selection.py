"""Which branch of a search is grown next, and how broadly a moment branches."""

from dataclasses import replace
from math import floor, log, sqrt

import numpy as np
import pytest

from agent.search.selection import bound, breadth, select
from agent.search.settings import SearchSettings
from agent.search.tree import Node
from environments.environment import ongoing

SETTINGS = SearchSettings()
HERE = ongoing("A fork.", ["left", "right"])


def two_arms(rewards, rounds, exploration):
    """Pull two arms whose worth is known, one after the other, as the bound says."""
    root = Node(None, (), HERE)
    root.children = [Node(root, (), HERE, play=object()) for _ in rewards]
    settings = replace(SETTINGS, exploration=exploration)
    for arm, reward in zip(root.children, rewards, strict=True):
        arm.back_up(reward)
    for _ in range(rounds - len(rewards)):
        chosen = select(root, settings)
        chosen.back_up(rewards[root.children.index(chosen)])
    return root


@pytest.mark.parametrize("exploration", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("gap", [0.2, 0.5])
def test_two_arms_are_pulled_at_the_rate_of_ucb1(exploration, gap):
    root = two_arms((0.5, 0.5 - gap), 4_000, exploration)
    good, bad = (arm.visits for arm in root.children)
    # Where both bounds are equal: gap = c sqrt(ln N) (1/sqrt(n_bad) - 1/sqrt(n_good)).
    reach = exploration * sqrt(log(good + bad))
    assert bad == pytest.approx((reach / (gap + reach / sqrt(good))) ** 2, rel=0.03, abs=1.5)


def test_the_bound_is_that_of_the_released_code_and_not_of_the_formula_as_typeset():
    node = Node(None, (), HERE, visits=4, total=2.0)
    assert bound(node, 100, 1.5) == pytest.approx(0.5 + 1.5 * sqrt(log(100) / 4))


def test_a_branch_under_way_counts_as_lost():
    node = Node(None, (), HERE, visits=3, total=3.0, under_way=1)
    assert node.mean == 1.0
    assert bound(node, 4, 0.0) == 0.5


def test_what_is_not_important_has_as_few_children_as_may_be():
    assert breadth(0.0, SETTINGS) == SETTINGS.fewest
    assert breadth(0.0, SETTINGS, first=True) == SETTINGS.fewest_first


def test_breadth_follows_the_formula_grows_with_importance_and_is_clipped():
    settings = replace(SETTINGS, alpha=10.0, fewest=2, most=10)
    widths = [breadth(importance / 100, settings) for importance in range(201)]
    assert widths == sorted(widths)
    assert widths[-1] == 10
    assert widths[45] == floor(10 * 0.45) + 1


def test_a_new_child_among_m_is_no_farther_from_its_sibling_than_importance_over_m_minus_one():
    """Why breadth in proportion to importance is enough (AlphaLLM, uniform children)."""
    rng = np.random.default_rng(2)
    for children, expected in ((2, 0.417), (3, 0.296), (5, 0.191), (10, 0.098), (20, 0.050)):
        values, new = rng.uniform(-1, 1, (20_000, children)), rng.uniform(-1, 1, (20_000, 1))
        nearest = np.abs(new - values).min(1).mean()
        assert nearest == pytest.approx(expected, abs=0.006)
        assert nearest <= 1 / (children - 1)


def test_importance_is_the_largest_distance_of_a_child_from_its_parent():
    root = Node(None, (), HERE, score=0.5)
    assert root.importance == 0.0
    root.children = [Node(root, (), HERE, score=score) for score in (0.9, 0.6, -0.2)]
    assert root.importance == pytest.approx(0.7)
