"""A critic is heard several times, and believed as far as the record bears it out."""

import asyncio
import json
from dataclasses import replace

import pytest

from agent.critics.case import Case
from agent.critics.critic import Critic
from agent.critics.prompts.critic import messages
from agent.critics.scrutiny import COPIED_WORDS, LONGEST_FIELD, Rejection, copied, leaks
from agent.endpoints.endpoint import EndpointError
from agent.scripted import Scripted
from criticizing import (
    ADVICE,
    CASE,
    FAILED,
    GOLD,
    HINT,
    INJECTION,
    TASK,
    WORLD,
    an_answer,
    criticized,
    from_server,
    injected,
)
from endpoint import refuses, says
from environments.anchor import Anchor
from environments.episode import Ending, Split
from environments.transcript import Origin
from memory.knowledge.items import HeldOutError
from wandering import NOON, recorded


def faults_of(*answers, case=CASE):
    return dict(criticized(*answers, case=case).rejections)


def test_one_answer_feeds_a_score_a_hint_and_a_lesson():
    heard = criticized(an_answer())
    assert heard.critique is not None
    assert (heard.critique.score, heard.critique.votes) == (-1, (-1,))
    assert heard.critique.hint == HINT
    assert heard.critique.citations[0].quote == FAILED.steps[2].observation
    assert heard.advice is not None
    assert heard.advice.instead == ADVICE["instead"]
    assert not heard.rejections


@pytest.mark.parametrize(
    ("votes", "score"),
    [((1, 1, -1), 1), ((1, -1), 0), ((1, -1, 0), 0), ((-1, None, -1), -1), ((None, 1, None), 1)],
)
def test_the_majority_scores_and_a_tie_or_an_unreadable_vote_counts_nothing(votes, score):
    said = ["mumble" if vote is None else an_answer(score=vote) for vote in votes]
    heard = criticized(*said)
    assert heard.critique is not None
    assert heard.critique.score == score
    assert heard.rejections.get(Rejection.MALFORMED, 0) == votes.count(None)


def test_where_the_votes_disagree_nobody_advises():
    heard = criticized(an_answer(score=1), an_answer(score=-1))
    assert heard.critique is not None
    assert (heard.critique.hint, heard.advice) == ("", None)


def test_only_who_voted_with_the_majority_advises():
    other = an_answer(score=1, hint="Everything went well here, do the same again.")
    heard = criticized(other, an_answer(), an_answer())
    assert heard.critique is not None
    assert heard.critique.hint == HINT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"citations": []}, Rejection.UNCITED),
        ({"citations": [{"step": 5, "quote": "You"}]}, Rejection.NO_SUCH_STEP),
        ({"citations": [{"step": -1, "quote": "You arrive"}]}, Rejection.NO_SUCH_STEP),
        ({"citations": [{"step": 2, "quote": "You see a dragon."}]}, Rejection.NOT_OBSERVED),
        ({"citations": [{"step": 2, "quote": "You"}]}, Rejection.NOT_OBSERVED),
        ({"citations": [{"step": 1, "quote": "You pick up the"}]}, Rejection.NOT_OBSERVED),
        ({"citations": [{"step": 2, "quote": ""}]}, Rejection.NOT_OBSERVED),
        ({"hint": "x" * (LONGEST_FIELD + 1)}, Rejection.OVERLONG),
        ({"hint": "Look \u202eback again, please"}, Rejection.NOT_TEXT),
        ({"hint": "Go \x00 back to the sink"}, Rejection.NOT_TEXT),
        ({"score": True}, Rejection.MALFORMED),
        ({"score": 2}, Rejection.MALFORMED),
        ({"score": "-1"}, Rejection.MALFORMED),
        ({"lesson": "be careful"}, Rejection.MALFORMED),
        ({"hint": "half \ud83d a pair"}, Rejection.MALFORMED),
    ],
)
def test_an_answer_that_does_not_check_out_is_rejected_whole_and_counted(changes, reason):
    heard = criticized(an_answer(**changes))
    assert heard.critique is None
    assert heard.advice is None
    assert dict(heard.rejections) == {reason: 1}


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        ("Clean it.", Rejection.SHORT_HINT),
        ("Go on. Clean it. Move it. Be done.", Rejection.LONG_HINT),
        (f"Next time {GOLD[3]}.", Rejection.HINT_LEAKS),
        (f"There is a way: {GOLD[0].upper()}!", Rejection.HINT_LEAKS),
    ],
)
def test_a_bad_hint_is_dropped_and_the_rest_of_the_answer_kept(hint, reason):
    heard = criticized(an_answer(hint=hint))
    assert heard.critique is not None
    assert heard.critique.hint == ""
    assert heard.advice is not None
    assert dict(heard.rejections) == {reason: 1}


def test_no_hint_is_no_fault():
    assert faults_of(an_answer(hint=" ", lesson=None)) == {}


@pytest.mark.parametrize("part", ["when", "fault", "instead"])
def test_a_lesson_without_a_part_is_dropped(part):
    heard = criticized(an_answer(lesson={**ADVICE, part: " "}))
    assert heard.advice is None
    assert dict(heard.rejections) == {Rejection.LESSON_EMPTY: 1}


def test_a_lesson_loses_the_numbers_of_things():
    heard = criticized(an_answer(lesson={**ADVICE, "instead": "clean cloth 3 with sinkbasin 2"}))
    assert heard.advice is not None
    assert heard.advice.instead == "clean cloth with sinkbasin"


def test_a_hint_may_not_name_a_thing_of_the_solution_that_was_never_seen():
    task = next(t for t in WORLD.tasks(Split.TRAIN) if "two" in t.kind)
    gold = WORLD.gold(task)
    case = Case(episode=recorded(WORLD, task, ["look"]), gold=gold)
    thing = gold[1].removeprefix("take ").partition(" from ")[0]
    assert leaks(f"Somewhere there is a {thing}.", case)
    assert not leaks("Somewhere there is another one.", case)


def test_without_numbers_only_the_whole_solution_is_a_leak():
    gold = ("go to garden", "take saw")
    case = replace(CASE, gold=gold)
    assert leaks("Go to garden and take saw.", case)
    assert not leaks("Do not take saw before you looked for it.", case)


def test_the_way_of_a_sibling_that_solved_it_is_as_secret_as_gold():
    sibling = recorded(WORLD, TASK, GOLD, id="e2")
    assert sibling.solved
    case = Case(episode=FAILED, siblings=(sibling,))
    assert faults_of(an_answer(hint=f"Next time {GOLD[3]}."), case=case) == {
        Rejection.HINT_LEAKS: 1
    }
    assert faults_of(an_answer(hint=f"Next time {GOLD[3]}."), case=replace(case, siblings=())) == {}


def test_an_instruction_copied_from_the_world_becomes_neither_hint_nor_lesson():
    quote = {"citations": [{"step": 2, "quote": INJECTION}]}
    lesson = {**ADVICE, "instead": f"{INJECTION.lower()}!"}
    heard = criticized(an_answer(**quote, hint=INJECTION, lesson=lesson), case=injected())
    assert heard.critique is not None
    assert (heard.critique.hint, heard.advice) == ("", None)
    assert dict(heard.rejections) == {Rejection.HINT_COPIED: 1, Rejection.LESSON_COPIED: 1}


def test_copying_begins_at_six_words_and_the_goal_may_be_repeated():
    words = INJECTION.split()
    assert copied(" ".join(words[:COPIED_WORDS]), injected())
    assert not copied(" ".join(words[: COPIED_WORDS - 1]), injected())
    assert len(TASK.goal.split()) >= COPIED_WORDS
    assert not copied(f"when you are to {TASK.goal}", CASE)


def test_a_model_that_only_writes_may_correct_itself_once():
    asked = []

    def answer(turn):
        asked.append(turn)
        mended = any(message.origin is Origin.POLICY for message in turn.messages)
        return f"Sure:\n```json\n{json.dumps(an_answer())}\n```" if mended else "I think it failed."

    heard = asyncio.run(Critic(Scripted(answer), votes=1).criticize(CASE, NOON))
    assert heard.critique is not None
    assert [len(turn.messages) for turn in asked] == [3, 5]
    assert "The agent" not in asked[0].messages[-1].text
    assert not heard.rejections


def test_votes_are_asked_with_seeds_and_caches_of_their_own():
    turns = []

    def answer(turn):
        turns.append(turn)
        return json.dumps(an_answer())

    asyncio.run(Critic(Scripted(answer), votes=3, seed=5).criticize(CASE, NOON))
    assert len({turn.seed for turn in turns}) == 3
    assert len({turn.episode for turn in turns}) == 3


def test_who_judges_its_own_work_is_no_third_party():
    own = replace(FAILED, policy="scripted")
    assert criticized(an_answer()).critique.source.anchor is Anchor.THIRD_PARTY_JUDGE
    heard = criticized(an_answer(), case=replace(CASE, episode=own))
    assert heard.critique.source.anchor is Anchor.SELF


@pytest.mark.parametrize("split", [Split.DEV, Split.TEST])
def test_an_attempt_at_a_held_out_task_is_not_even_shown_to_a_critic(split):
    def never(_):
        raise AssertionError

    kept = replace(FAILED, task=replace(TASK, split=split))
    with pytest.raises(HeldOutError, match=split):
        asyncio.run(Critic(Scripted(never)).criticize(replace(CASE, episode=kept), NOON))


def test_what_a_critic_says_names_all_that_it_was_shown():
    sibling = recorded(WORLD, TASK, GOLD, id="e2")
    heard = criticized(an_answer(), case=replace(CASE, siblings=(sibling,)))
    assert heard.critique.source.episodes == ("e1", "e2")


def test_the_prompt_tells_the_facts_the_contrast_and_each_step_but_not_the_gold():
    sibling = recorded(WORLD, TASK, ["look"], id="e2")
    said = messages(replace(CASE, siblings=(sibling,)))[1].text
    assert "Nothing changed by steps: 3." in said
    assert "It ended truncated after: look" in said
    assert f"Step 1 did: {GOLD[1]}" in said
    assert "had not failed" in said
    assert GOLD[3] not in said
    assert (
        "can no longer be solved"
        in messages(replace(CASE, episode=replace(FAILED, ending=Ending.FAILED)))[1].text
    )


def test_a_long_attempt_is_told_in_the_room_there_is_with_its_start_and_its_end():
    long = recorded(WORLD, TASK, ["look", "inventory"] * 400)
    said = messages(Case(episode=long), room=5_000)[1].text
    assert len(said) < 8_000
    assert "Step 0 saw:" in said
    assert "Step 799 did:" in said
    assert "steps are left out here" in said


def test_an_endpoint_is_held_to_the_schema_and_one_that_cannot_be_is_asked_in_words():
    heard, requests = from_server(says(json.dumps(an_answer())))
    assert heard.critique.score == -1
    assert requests[0]["response_format"]["json_schema"]["name"] == "Answer"
    schema = requests[0]["response_format"]["json_schema"]["schema"]
    assert set(schema["required"]) == set(schema["properties"])
    heard, requests = from_server(refuses(400, "no such option"), says(json.dumps(an_answer())))
    assert heard.critique.score == -1
    assert "fits this schema" in requests[1]["messages"][-1]["content"]


def test_an_endpoint_that_is_down_stops_the_critic_with_what_to_do():
    with pytest.raises(EndpointError, match="check OPENAI_API_KEY"):
        from_server(refuses(401, "who are you"))
