"""What a critic's scores have told is read from the searches that a home has kept."""

import json

import pytest

from agent.search.critics import Aspect, WorldCritic
from apprentice.runs.searching import Searching, told_so_far
from thickets import Knowing, Thicket, critics, searched

WORLD = Thicket(depth=4, width=3, goals={(0, 1, 2, 0), (0, 1, 2, 1)})
GOOD = {(0, 1, 2, 0)[:length] for length in range(5)}


def knowing(path):
    return 0.2 if tuple(path) in GOOD else 0.1  # tells them apart, but means nothing by itself


def kept(trees, *, seeds):
    """Keep some searches that asked a value critic, and return what they cost."""
    searching = Searching(settings=None, trees=trees)
    for seed in range(seeds):
        three = critics(value=Knowing(knowing), outcome=WorldCritic())
        search = searched(WORLD, seed, critics=three, budget=120, until_solved=False)
        search.attempt = type(search.attempt)(
            id=f"e{seed}", task=search.attempt.task, seed=search.attempt.seed
        )
        searching.keep(search)
    return searching


def test_scores_that_mean_little_by_themselves_tell_apart_what_leads_to_the_goal(tmp_path):
    kept(tmp_path, seeds=6)
    told = told_so_far(tmp_path, Aspect.VALUE, Knowing(knowing).name)
    assert told(0.2) > 1.0
    assert told(0.1) < 0.0


def test_what_another_critic_said_counts_for_nothing(tmp_path):
    kept(tmp_path, seeds=6)
    assert told_so_far(tmp_path, Aspect.VALUE, "the head of another adapter") is None
    assert told_so_far(tmp_path, Aspect.PROCESS, Knowing(knowing).name) is None
    assert told_so_far(tmp_path / "empty", Aspect.VALUE, Knowing(knowing).name) is None


def test_a_tree_that_was_kept_before_critics_had_names_is_passed_over(tmp_path):
    kept(tmp_path, seeds=6)
    for file in tmp_path.iterdir():
        tree = json.loads(file.read_bytes())
        del tree["critics"]
        file.write_text(json.dumps(tree))
    assert told_so_far(tmp_path, Aspect.VALUE, Knowing(knowing).name) is None


def test_the_cost_of_a_run_says_how_far_off_its_critics_were(tmp_path):
    searching = kept(tmp_path, seeds=6)
    (told,) = searching.calibrations
    said = searching.said[Aspect.VALUE]
    share = sum(came for _, came in said) / len(said)
    assert told.opinions == len(said)
    assert told.error == pytest.approx(0.55 - share, abs=0.05)  # nearly all it said was 0.1
