"""Which memories are shown: the strategies, the budget, and the lot."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_builders import a_demonstration, a_lesson
from environments.transcript import opening
from memory.recall.briefing import RENDERINGS, small
from memory.recall.recall import (
    STRATEGIES,
    Candidate,
    Lot,
    Silence,
    Space,
    Taste,
    recall,
    standardized,
)

NO_LOT = Lot(share=0.0, seed=0)


def words(text):
    return len(text.split())


def ample(budget=10_000, render=small):
    return Space(render=render, count_tokens=words, budget=budget)


def a_candidate(id, similarity, *, kind="cool", instead="open it", direction=0, **known):
    """Return one that is a near-duplicate of all those of the same direction, and of no other."""
    vector_D = np.zeros(64, dtype=np.float32)
    vector_D[direction] = 1.0
    item = a_lesson(id=id, kind=kind, instead=instead)
    return Candidate(item=item, similarity=similarity, vector_D=vector_D, **known)


def ids(picks):
    return [candidate.item.id for candidate, _ in picks]


def picked(strategy, candidates, **taste):
    return ids(STRATEGIES[strategy]("cool", candidates, Taste(**taste)))


def several(count=12):
    """Return candidates of two types and general ones, in no useful order."""
    kinds = ("cool", "heat", "")
    made = [
        a_candidate(f"i{n:02d}", round(0.95 - 0.05 * n, 2), kind=kinds[n % 3], direction=n)
        for n in range(count)
    ]
    Random(4).shuffle(made)
    return made


def remembered(candidates, *, strategy="worth", space=None, lot=NO_LOT, **taste):
    return recall(
        "cool", candidates, strategy=strategy, taste=Taste(**taste), space=space or ample(), lot=lot
    )


def test_nothing_below_the_floor_is_recalled():
    candidates = [
        a_candidate(id, similarity, kind="heat")
        for id, similarity in [("near", 0.7), ("far", 0.4), ("off", 0.1)]
    ]
    assert picked("worth", candidates, floor=0.4) == ["near"]
    silent = remembered(candidates, floor=0.8)
    assert (silent.briefing, silent.tokens, silent.silence) == ("", 0, Silence.UNLIKE)


def test_advice_for_such_tasks_is_recalled_however_unlike_them_it_is():
    candidates = [
        a_candidate("like", 0.7, direction=0),
        a_candidate("own", 0.1, direction=1),
        a_candidate("any", -0.1, kind="", direction=2),
        a_candidate("other", 0.2, kind="heat", direction=3),
    ]
    assert sorted(picked("worth", candidates)) == ["any", "like", "own"]
    assert picked("worth", candidates, meant=0) == ["like"]


def test_of_advice_below_the_floor_what_is_worth_most_is_recalled():
    candidates = [
        a_candidate("bad", 0.3, worth=0.1, direction=0),
        a_candidate("new", 0.1, kind="", direction=1),
        a_candidate("good", -0.1, worth=0.9, direction=2),
    ]
    assert picked("worth", candidates, meant=2) == ["good", "new"]


def test_a_demonstration_is_recalled_for_its_likeness_alone():
    far = a_candidate("far", 0.3)
    shown = a_demonstration(id="far", kind="cool")
    assert picked("worth", [replace(far, item=shown)]) == []


def test_general_advice_finds_a_place_among_many_demonstrations():
    demonstrations = [
        replace(a_candidate(f"d{n:02}", 0.9 - 0.01 * n), item=a_demonstration(id=f"d{n:02}"))
        for n in range(30)
    ]
    advice = a_candidate("any", 0.05, kind="", direction=1)
    assert "any" in picked("worth", [*demonstrations, advice])


def test_worth_of_weight_zero_changes_nothing():
    bare = several()
    rng = Random(1)
    judged = [replace(each, worth=rng.uniform(0, 1)) for each in bare]
    assert picked("worth", judged, worth=0.0, floor=-1) == picked("worth", bare, floor=-1)


def test_worth_lifts_what_helped_over_what_is_a_little_nearer():
    candidates = [
        a_candidate("near", 0.80, worth=0.1, direction=0),
        a_candidate("helped", 0.79, worth=0.9, direction=1),
        a_candidate("idle", 0.50, worth=0.1, direction=2),
    ]
    assert picked("worth", candidates, worth=0.0) == ["near", "helped", "idle"]
    assert picked("worth", candidates, worth=0.5) == ["helped", "near", "idle"]


def test_scores_are_the_weighted_sum_of_two_z_scores():
    candidates = [
        a_candidate("a", 0.9, worth=0.0, direction=0),
        a_candidate("b", 0.8, worth=1.0, direction=1),
        a_candidate("c", 0.7, worth=0.5, direction=2),
    ]
    fused = np.array([1 / 61, 1 / 62, 1 / 63])
    by_hand = 0.7 * standardized(fused) + 0.3 * standardized(np.array([0.0, 1.0, 0.5]))
    scores = {
        each.item.id: score
        for each, score in STRATEGIES["worth"]("cool", candidates, Taste(worth=0.3))
    }
    assert [scores[id] for id in "abc"] == pytest.approx(by_hand.tolist())


def test_unknown_worth_counts_as_average():
    candidates = [
        a_candidate("good", 0.5, worth=0.9, direction=0),
        a_candidate("new", 0.5, direction=1),
        a_candidate("bad", 0.5, worth=0.1, direction=2),
    ]
    assert picked("worth", candidates, worth=1.0) == ["good", "new", "bad"]


def test_words_in_common_lift_an_item_over_an_equally_near_one():
    candidates = [
        a_candidate("a", 0.6, direction=0),
        a_candidate("b", 0.6, word_rank=1, direction=1),
    ]
    assert picked("worth", candidates, worth=0.0) == ["b", "a"]


def test_a_near_duplicate_of_what_is_shown_comes_after_something_else():
    candidates = [
        a_candidate("first", 0.90, direction=0),
        a_candidate("twin", 0.89, direction=0),
        a_candidate("other", 0.88, direction=1),
        a_candidate("last", 0.50, direction=2),
    ]
    assert picked("worth", candidates, novelty=0.0, most=3) == ["first", "twin", "other"]
    assert picked("worth", candidates, novelty=0.5, most=3) == ["first", "other", "last"]


def test_delta_of_minus_one_gives_the_nearest_k_of_the_type():
    own = sorted((c for c in several() if c.item.kind == "cool"), key=lambda c: -c.similarity)
    assert picked("embedding", several(), floor=-1.0, most=2, general=0) == ids(
        [(each, 0) for each in own[:2]]
    )


def test_delta_above_one_gives_the_general_ones_only():
    chosen = STRATEGIES["embedding"]("cool", several(), Taste(floor=1.01))
    assert chosen
    assert {candidate.item.kind for candidate, _ in chosen} == {""}


def test_embedding_of_all_of_a_type_is_the_template():
    template = picked("template", several())
    assert set(picked("embedding", several(), floor=-1.0, most=4)) == set(template)
    assert len(template) == 8  # four of the type, four general ones


def test_the_template_shows_the_first_general_ones_only():
    assert picked("template", several(), general=1) == ["i02", "i00", "i03", "i06", "i09"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_order_of_the_bank_does_not_show(strategy):
    plain = several()
    for seed in range(5):
        shuffled = list(plain)
        Random(seed).shuffle(shuffled)
        assert picked(strategy, shuffled, floor=0.0) == picked(strategy, plain, floor=0.0)


def test_no_memory_an_abstention_and_no_budget_leave_the_prompt_as_it_is():
    plain = opening("Rules.", "", "A room.")
    full = [replace(each, item=replace(each.item, kind="heat")) for each in several()]
    silences = {
        Silence.EMPTY: remembered([]),
        Silence.UNLIKE: remembered(full, floor=0.99),
        Silence.BUDGET: remembered(full, space=ample(0)),
    }
    for reason, silent in silences.items():
        assert (silent.silence, silent.briefing, silent.choices) == (reason, "", ())
        assert opening("Rules.", silent.briefing, "A room.") == plain
    spoken = remembered(full)
    assert opening("Rules.", spoken.briefing, "A room.") != plain


def test_what_is_too_long_makes_room_for_what_fits():
    candidates = [
        a_candidate("long", 0.9, instead="very " * 50, direction=0),
        a_candidate("short", 0.5, instead="open it", direction=1),
    ]
    told = remembered(candidates, space=ample(10))
    assert told.briefing == "Remember: open it"
    assert (told.tokens, told.silence) == (3, None)


def pieces(text):
    """Count as a subword tokenizer does: long words cost more, and merges cross the seams."""
    return sum(1 + len(word) // 4 for word in text.split(" ")) + text.count("\n\n") % 3


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.text(min_size=1, max_size=60), max_size=8),
    budget=st.integers(0, 60),
    rendering=st.sampled_from(sorted(RENDERINGS)),
    share=st.sampled_from([0.0, 0.5, 0.99]),
    strategy=st.sampled_from(sorted(STRATEGIES)),
    seed=st.integers(0, 50),
)
def test_the_budget_is_never_exceeded(texts, budget, rendering, share, strategy, seed):
    candidates = [
        a_candidate(f"i{n}", 0.9 - n / 20, instead=text, direction=n)
        for n, text in enumerate(texts)
    ]
    told = remembered(
        candidates,
        strategy=strategy,
        space=Space(render=RENDERINGS[rendering], count_tokens=pieces, budget=budget),
        lot=Lot(share=share, seed=seed),
    )
    assert told.tokens == (pieces(told.briefing) if told.briefing else 0)
    assert told.tokens <= budget
    assert bool(told.briefing) == bool(told.shown)


def test_the_lot_leaves_one_item_out_as_often_as_it_says():
    candidates = several()
    draws = [
        remembered(candidates, floor=-1.0, most=4, lot=Lot(share=0.2, seed=seed))
        for seed in range(4000)
    ]
    chosen = [choice.item.id for choice in draws[0].choices]
    left_out = [draw.left_out.item.id for draw in draws if draw.left_out]
    assert len(left_out) / 4000 == pytest.approx(0.2, abs=0.025)  # four standard errors
    for id in chosen:
        assert left_out.count(id) / 4000 == pytest.approx(0.05, abs=0.014)
    for draw in draws:
        assert [choice.item.id for choice in draw.choices] == chosen
        assert {choice.propensity for choice in draw.choices} == {0.95}
        assert sum(not choice.shown for choice in draw.choices) <= 1
        assert all(choice.item.instead in draw.briefing for choice in draw.shown)


def test_what_the_lot_left_out_is_not_in_the_briefing():
    candidates = [
        a_candidate("a", 0.9, instead="shut the door", direction=0),
        a_candidate("b", 0.8, instead="light the lamp", direction=1),
    ]
    draws = (remembered(candidates, lot=Lot(share=0.99, seed=seed)) for seed in range(20))
    told = next(draw for draw in draws if draw.left_out)
    assert told.left_out.item.instead not in told.briefing
    assert told.shown[0].item.instead in told.briefing


def test_the_same_seed_draws_the_same_lot():
    lot = Lot(share=0.5, seed=11)
    assert remembered(several(), lot=lot) == remembered(several(), lot=lot)


def test_without_a_share_no_lot_is_drawn():
    told = remembered(several())
    assert {choice.propensity for choice in told.choices} == {1.0}
    assert told.left_out is None


def test_the_only_item_left_out_by_lot_is_silence_that_is_logged():
    lot = next(
        lot
        for lot in (Lot(share=0.9, seed=s) for s in range(99))
        if remembered([a_candidate("a", 0.9)], lot=lot).left_out
    )
    told = remembered([a_candidate("a", 0.9)], lot=lot)
    assert (told.silence, told.briefing, told.tokens) == (Silence.LOT, "", 0)
    assert told.choices[0].propensity == pytest.approx(0.1)


def test_a_share_of_one_would_never_show_a_lone_item_and_is_refused():
    with pytest.raises(ValueError, match=r"1\.0 is left out"):
        Lot(share=1.0, seed=0)
