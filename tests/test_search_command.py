"""`apprentice run --search` and `apprentice episodes show --tree`, as a user meets them."""

import json

import pytest

from command import apprentice, one_line

ROOMS = '[environment]\nsettings = {max_receptacles = 4, kinds = ["pick_and_place_simple"]}\n'
SEARCH = "budget=120,peak=0.5"
QUICK = ("run", "--policy", "random", "--seed", 3)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a directory in which three searched episodes were made, and what was printed."""
    place = tmp_path_factory.mktemp("searched")
    (place / "apprentice.toml").write_text(ROOMS)
    told = apprentice(*QUICK, "--episodes", 3, "--search", SEARCH, "--json", cwd=place)
    assert told.returncode == 0, told.stderr
    return place, json.loads(told.stdout)


def test_a_searched_run_shows_what_it_cost_under_a_name_of_its_own(home):
    _, told = home
    assert told["policy"] == "random+search120"
    assert told["episodes"] == 3
    cost = told["search"]
    assert cost["searches"] == 3
    assert 0 < cost["simulated_steps"] <= 360
    assert cost["turns"] >= cost["simulated_steps"]


def test_the_tree_of_an_episode_is_drawn_and_its_json_is_whole(home):
    place, told = home
    listed = apprentice("episodes", "list", "--run", told["run"], "--json", cwd=place)
    ids = [each["id"] for each in json.loads(listed.stdout)]
    drawn = apprentice("episodes", "show", ids[0], "--tree", cwd=place)
    assert drawn.returncode == 0, drawn.stderr
    assert "of 120 simulated steps" in drawn.stdout
    assert "visits" in drawn.stdout
    tree = json.loads(apprentice("episodes", "show", ids[0], "--tree", "--json", cwd=place).stdout)
    assert tree["episode"] == ids[0]
    assert (tree["settings"]["budget"], tree["settings"]["peak"]) == (120, 0.5)
    assert tree["twigs"][0]["parent"] is None
    assert any(each["chosen"] for each in tree["twigs"])


def test_a_way_that_a_search_found_can_be_replayed(home):
    place, told = home
    listed = apprentice("episodes", "list", "--run", told["run"], "--json", cwd=place)
    first = json.loads(listed.stdout)[0]["id"]
    assert apprentice("episodes", "replay", first, cwd=place).returncode == 0


def test_without_a_search_there_is_no_tree(home):
    place, _ = home
    plain = apprentice(*QUICK, "--episodes", 1, "--json", cwd=place)
    told = json.loads(plain.stdout)
    assert told["policy"] == "random"
    assert "search" not in told
    listed = apprentice("episodes", "list", "--run", told["run"], "--json", cwd=place)
    shown = apprentice("episodes", "show", json.loads(listed.stdout)[0]["id"], "--tree", cwd=place)
    assert "only attempts of a run with --search have one" in one_line(shown)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("200", "is not NAME=NUMBER"),
        ("budget=many", "setting 'search.budget' is 'many'"),
        ("peak=2", "setting 'search.peak' is '2': input should be less than or equal to 1"),
        ("depth=3", "unknown setting 'search.depth'; known here: at_once, budget"),
    ],
)
def test_a_slip_in_the_option_is_told_in_one_line(tmp_path, option, said):
    told = apprentice(*QUICK, "--search", option, cwd=tmp_path)
    assert said in one_line(told)
