"""Sequences become a step's work: nothing lost uncounted, nothing computed for padding."""

from dataclasses import replace
from random import Random

import torch

from distill.objectives.imitate import imitate
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, collate, pack, rows_of
from distill.sequences.encode import Encoded, Reading, Reason
from distill.teaching.advantage import positive_only
from distill.teaching.curriculum import (
    compared,
    dealt,
    demonstrated,
    grouped,
    internalised,
    success_shown,
    successes,
)
from distill.teaching.excursions import Guide, excursion
from distill.teaching.searching import surveyed
from environments.episode import Completion, Ending, Split
from environments.household.household import Household
from learning import NOW, a_step, an_episode, tiny_encoder, tiny_student

WON, LOST = an_episode("take gold"), an_episode("go left", "take iron ore")
LONG_WIN = an_episode("wait", "go right", "take gold")


def rows(*episodes, **changes):
    chosen = [Chosen(reading=Reading(episode=each), group=each.task.id) for each in episodes]
    found, dropped = rows_of(tiny_encoder(**changes), chosen)
    return found, dropped


def test_the_batch_says_where_the_policy_decided_and_what_it_thought():
    work = collate(rows(WON, LOST)[0])
    batch = work.batch
    for b, row in enumerate(work.rows):
        positions = [decision.position for decision in row.encoded.decisions]
        assert batch.mask_BT[b].nonzero()[:, 0].tolist() == positions
        assert batch.tokens_BT[b, positions].tolist() == [d.token for d in row.encoded.decisions]
    assert (batch.sampled_logp_BT[batch.mask_BT] == -0.5).all()
    assert batch.sampled_logp_BT[~batch.mask_BT].isnan().all()


def test_attempts_at_one_task_share_a_group_number():
    work = collate(rows(WON, LOST, an_episode("take gold", number=1))[0])
    groups = {row.group: int(g) for row, g in zip(work.rows, work.batch.group_B, strict=True)}
    assert sorted(groups.values()) == [0, 1]


def test_parts_of_a_step_have_the_gradient_of_the_whole():
    whole, parted = tiny_student(), tiny_student()
    work = collate(rows(WON, LOST, LONG_WIN)[0])
    imitate(whole.speak(work).logprobs, work.batch).backward()
    pieces = list(work.parts(25))
    assert len(pieces) > 1
    for part in pieces:
        imitate(parted.speak(part).logprobs, part.batch).backward()
    for name, weight in whole.weights.items():
        assert torch.allclose(weight.grad, parted.weights[name].grad, atol=1e-6)


def test_no_token_is_fed_for_padding_and_a_shared_beginning_only_once():
    began = ("wait", "go left", "go left")
    alike = [an_episode(*began, *more) for more in (("take gold",), ("wait", "wait"), ("go left",))]
    work = collate(rows(*alike)[0])
    packed = pack([row.encoded for row in work.rows], torch.device("cpu"))
    distinct = {row.encoded.ids[:i] for row in work.rows for i in range(1, len(row.encoded.ids))}
    assert len(packed.ids_N) == len(distinct) < work.tokens


def test_every_sequence_can_be_read_off_the_packed_tokens():
    work = collate(rows(WON, LOST, LONG_WIN)[0])
    packed = pack([row.encoded for row in work.rows], torch.device("cpu"))
    told = set()
    for piece in packed.pieces:
        way = [*piece.before, piece.own]
        at = [place for each in way for place in range(each.start, each.stop)]
        assert packed.position_N[at].tolist() == list(range(len(at)))
        told.add(tuple(packed.ids_N[at].tolist()))
    assert told == {row.encoded.ids[:-1] for row in work.rows}


def test_a_completion_of_one_token_is_a_sequence():
    step = a_step("wait", admissible=("wait", "go left"))
    step = replace(step, completion=Completion(text="", token_ids=(1,), logprobs=(-0.1,)))
    (row,), dropped = rows(an_episode(steps=(step,)))
    assert not dropped
    assert len(row.encoded.decisions) == 1
    loss = imitate(tiny_student().speak(collate([row])).logprobs, collate([row]).batch)
    assert torch.isfinite(loss)


def test_what_is_left_out_is_counted_by_reason():
    silent = a_step("wait")
    silent = replace(silent, completion=replace(silent.completion, logprobs=()))
    broken = an_episode(name="b", ending=Ending.BROKEN, error="Traceback")
    found, dropped = rows(WON, broken, an_episode(name="s", steps=(silent,)))
    assert len(found) == 1
    assert dropped == {Reason.BROKEN: 1, Reason.NOT_RECORDED: 1}


def test_a_transcript_longer_than_the_context_is_dropped_and_never_cut():
    found, dropped = rows(WON, LONG_WIN, length=len(rows(WON)[0][0].encoded.ids))
    assert [row.encoded.episode for row in found] == [WON.id]
    assert dropped == {Reason.TOO_LONG: 1}


def test_a_hint_that_does_not_fit_costs_the_teacher_and_not_the_attempt():
    chosen = [Chosen(reading=Reading(episode=WON, hint="again " * 40))]
    (row,), dropped = rows_of(tiny_encoder(50), chosen)
    assert row.hinted is None
    assert dropped == {Reason.TOO_LONG: 1}


def test_groups_that_teach_nothing_are_counted_and_left_out():
    even = (WON, an_episode("take gold", name="again"))
    broken = an_episode(name="b", ending=Ending.BROKEN, error="Traceback")
    chosen, dropped = compared([even, (LOST,), (broken,), ()])
    assert chosen == ()
    assert dropped == {
        Reason.EVEN_GROUP: 2,
        Reason.LONE_ATTEMPT: 1,
        Reason.BROKEN: 1,
        Reason.EMPTY_GROUP: 2,
    }


def test_an_attempt_is_worth_what_it_won_beyond_its_group():
    chosen, dropped = compared([(WON, LOST, LONG_WIN)])
    assert [round(each.advantage, 4) for each in chosen] == [0.3333, -0.6667, 0.3333]
    assert not dropped


def test_another_comparison_can_be_composed_in():
    chosen, _ = compared([(WON, LOST)], advantage=lambda reward_B, _: positive_only(reward_B))
    assert [each.advantage for each in chosen] == [1.0, 0.0]


def test_the_teacher_is_shown_the_shortest_success_of_another():
    group = (WON, LOST, LONG_WIN)
    assert "wait" not in success_shown(LOST, group)
    assert "take gold" in success_shown(LOST, group)
    assert "wait" in success_shown(WON, group)  # never its own
    assert success_shown(WON, (WON, LOST)) == ""


def test_successes_become_demonstrations_the_shortest_first():
    chosen = successes([(LONG_WIN, LOST, WON)])
    assert [each.reading.episode.id for each in chosen] == [WON.id]
    assert chosen[0].reading.source is Source.DEMONSTRATION


def test_internalising_an_attempt_that_was_briefed_scores_it_as_a_refinement():
    briefed = an_episode(name="briefed", briefing="hint : take gold")
    chosen, _ = compared([(briefed, LOST)])
    first, second = internalised(chosen)
    assert (first.reading.briefed, first.reading.source) == (False, Source.REFINEMENT)
    assert second.reading.source is Source.ROLLOUT


def test_steps_keep_groups_together_and_forget_no_attempt():
    chosen = demonstrated(
        Reading(episode=an_episode(name=f"{n}-{i}", number=n)) for n in range(5) for i in range(3)
    )
    steps = list(dealt(chosen, 7, Random(1)))
    assert sorted(len(step) for step in steps) == [3, 6, 6]
    assert {each.reading.episode.id for step in steps for each in step} == {
        each.reading.episode.id for each in chosen
    }
    assert all(sum(each.group == step[0].group for each in step) == 3 for step in steps)


def test_grouping_keeps_the_order_of_first_appearance():
    other = an_episode(name="other", number=1)
    assert grouped([WON, other, LOST]) == ((WON, LOST), (other,))


WORLD = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=6)


def test_a_demonstration_from_the_household_is_encoded_by_the_same_reader():
    task = WORLD.tasks(Split.TRAIN)[0]
    plan = WORLD.gold(task)
    guide = Guide(environment=WORLD, whereabouts=surveyed(WORLD, [task]))
    reading = excursion(guide, task, plan, rng=Random(5), now=NOW)
    found = tiny_encoder(4096).encode(reading)
    assert isinstance(found, Encoded)
    assert all(decision.token in decision.allowed for decision in found.decisions)
