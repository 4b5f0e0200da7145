import re

from apprentice.findings.report import Chart, Curve, Dot
from apprentice.findings.svg import draw_chart


def across(*xs):
    """Return what stands below the axis of a curve over these places."""
    dots = tuple(Dot(x, 0.5, 0.4, 0.6) for x in xs)
    picture = draw_chart(Chart(title="", across="", up="", curves=(Curve("", dots),)))
    return re.findall(r'text-anchor="middle" class="dim">([^<]+)<', picture)


def test_between_whole_numbers_no_halves_are_named():
    assert across(1, 2, 3) == ["1", "2", "3"]
    assert across(1, 20) == ["5", "10", "15", "20"]


def test_shares_are_named_in_round_steps():
    assert across(0.1, 0.35, 0.9) == ["0.2", "0.4", "0.6", "0.8"]


def test_a_single_place_is_named_once():
    assert across(4) == ["4"]
