"""Episodes become sequences token by token, and what is learned is what the policy chose."""

from dataclasses import replace
from math import isnan

import pytest

from distill.sequences.batch import Source
from distill.sequences.encode import Encoded, HeldOutError, Reading, Reason
from environments.episode import Completion, Ending, Split
from learning import a_step, a_task, an_episode, tiny_encoder, tokenizer


def encoded(**changes) -> Encoded:
    found = tiny_encoder().encode(Reading(**{"episode": an_episode(), **changes}))
    assert isinstance(found, Encoded)
    return found


def words(encoded: Encoded) -> list[str]:
    return tokenizer().convert_ids_to_tokens(list(encoded.ids))


def test_recorded_ids_are_used_as_they_were_sampled():
    episode = an_episode("go left", "take gold")
    found = encoded(episode=episode)
    first = episode.steps[0].completion.token_ids
    assert any(found.ids[i : i + len(first)] == first for i in range(len(found.ids)))


def test_only_choices_are_learned_and_each_knows_its_alternatives():
    found = encoded(episode=an_episode("take iron ore", "take gold"))
    tokens = tokenizer().convert_tokens_to_ids
    chosen = [(d.token, set(d.allowed)) for d in found.decisions]
    openings = {tokens("go"), tokens("take"), tokens("wait")}
    assert chosen[0] == (tokens("take"), openings)
    assert chosen[1] == (tokens("iron"), {tokens("gold"), tokens("iron")})
    assert chosen[2:] == [
        (tokens("take"), openings),
        (tokens("gold"), {tokens("gold"), tokens("iron")}),
    ]


def test_a_sequence_ends_at_its_last_decision():
    found = encoded()
    assert found.decisions[-1].position == len(found.ids) - 1
    assert "It" not in words(found)


def test_the_sampled_logprob_of_a_decision_is_the_one_recorded_for_its_token():
    step = a_step("take gold")
    step = replace(step, completion=replace(step.completion, logprobs=(-1.0, -2.0, 0.0)))
    found = encoded(episode=an_episode(steps=(step,)))
    assert found.sampled == (-1.0, -2.0)


def test_steps_that_are_not_imitated_are_read_and_not_learned():
    episode = an_episode("wait", "go left", "take gold")
    found = encoded(episode=episode, imitated=(False, False, True), source=Source.DEMONSTRATION)
    assert {tokenizer().convert_ids_to_tokens([d.token])[0] for d in found.decisions} == {
        "take",
        "gold",
    }
    assert "wait" in words(found)


def test_internalising_leaves_out_what_memory_said_and_nothing_else():
    episode = an_episode(briefing="hint : take gold")
    with_hint = encoded(episode=episode)
    without = encoded(episode=episode, briefed=False, source=Source.REFINEMENT)
    plain = encoded(episode=an_episode())
    assert "hint" in words(with_hint)
    assert without.ids == plain.ids
    assert [d.token for d in without.decisions] == [d.token for d in with_hint.decisions]
    assert all(map(isnan, without.sampled))  # it was sampled under another prompt


def test_a_teacher_reads_the_hint_and_the_same_response():
    plain, hinted = encoded(), encoded(hint="find it again")
    assert "again" in words(hinted)
    assert [(d.token, d.allowed) for d in plain.decisions] == [
        (d.token, d.allowed) for d in hinted.decisions
    ]
    assert len(hinted.ids) > len(plain.ids)


def test_a_demonstration_without_ids_is_tokenised_and_says_so():
    recorded = an_episode()
    bare = tuple(
        replace(step, completion=Completion(text=step.completion.text)) for step in recorded.steps
    )
    found = encoded(episode=replace(recorded, steps=bare), source=Source.DEMONSTRATION)
    assert found.ids == encoded().ids
    assert found.source is Source.DEMONSTRATION
    assert all(map(isnan, found.sampled))


def test_another_models_ids_are_not_used_in_a_demonstration():
    step = a_step("take gold")
    foreign = replace(step, completion=replace(step.completion, token_ids=(900, 901, 902)))
    found = encoded(episode=an_episode(steps=(foreign,)), source=Source.DEMONSTRATION)
    assert max(found.ids) < 64


def test_the_distribution_sampled_from_is_the_one_trained():
    assert encoded(episode=an_episode(temperature=0.7)).temperature == 0.7
    assert encoded(episode=an_episode(temperature=0.0)).temperature == 1.0  # recorded as at 1


def test_free_text_is_chosen_from_the_whole_vocabulary():
    found = encoded(episode=an_episode(steps=(a_step("take gold", admissible=()),)))
    assert [d.allowed for d in found.decisions] == [(), (), ()]


def refusal(length: int = 512, **changes) -> Reason:
    found = tiny_encoder(length).encode(Reading(**{"episode": an_episode(), **changes}))
    assert isinstance(found, Reason)
    return found


def test_what_cannot_be_trained_on_says_why():
    broken = an_episode(ending=Ending.BROKEN, error="Traceback")
    assert refusal(episode=broken) is Reason.BROKEN
    assert refusal(episode=an_episode(steps=())) is Reason.EMPTY
    assert refusal(length=10) is Reason.TOO_LONG
    assert refusal(episode=an_episode(steps=(a_step("wait", admissible=("wait",)),))) is (
        Reason.NO_CHOICE
    )
    silent = a_step("wait")
    silent = replace(silent, completion=replace(silent.completion, logprobs=()))
    assert refusal(episode=an_episode(steps=(silent,))) is Reason.NOT_RECORDED


@pytest.mark.parametrize(
    "changes",
    [{"token_ids": (900, 901, 902)}, {"text": "go left"}, {"prompt_tokens": 3}],
    ids=["unknown ids", "other words", "another prompt"],
)
def test_ids_that_do_not_re_render_are_refused(changes):
    step = a_step("take gold")
    odd = replace(step, completion=replace(step.completion, **changes))
    assert refusal(episode=an_episode(steps=(odd,))) is Reason.NOT_RERENDERED


def test_a_held_out_episode_stops_everything():
    with pytest.raises(HeldOutError, match="dev task"):
        tiny_encoder().encode(Reading(episode=an_episode(task=a_task(split=Split.DEV))))
