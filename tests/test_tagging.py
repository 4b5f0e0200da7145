"""What a critic says of the items that were shown: believed as far as it speaks of those."""

import asyncio
import json

from agent.critics.tagging import tag
from agent.scripted import Scripted
from bank_builders import a_demonstration, a_lesson, a_skill
from criticizing import FAILED
from environments.transcript import Origin
from memory.proof.credit import Tag

SHOWN = (a_lesson(id="L1"), a_skill(id="S2"), a_demonstration(id="D3"))


def an_answer(**effects):
    return {"effects": [{"note": note, "effect": effect} for note, effect in effects.items()]}


def tagged(*answers, items=SHOWN):
    texts = [each if isinstance(each, str) else json.dumps(each) for each in answers]

    def answer(turn):
        return texts[int(turn.episode.rpartition("/")[2])]

    asked = tag(FAILED, items, Scripted(answer), votes=len(texts), seed=0, room=12_000)
    return asyncio.run(asked)


def test_the_majority_says_whether_an_item_helped():
    found = tagged(
        an_answer(L1="helped", S2="harmed", D3="helped"),
        an_answer(L1="helped", S2="harmed", D3="harmed"),
        an_answer(L1="neither", S2="harmed"),
    )
    assert found.tags == {"L1": Tag.HELPFUL, "S2": Tag.HARMFUL, "D3": Tag.NEUTRAL}
    assert not found.rejections


def test_an_item_that_nobody_speaks_of_has_no_tag():
    assert tagged(an_answer(L1="helped")).tags == {"L1": Tag.HELPFUL}


def test_what_is_said_of_a_note_that_was_not_shown_is_counted_and_nothing_else():
    found = tagged(an_answer(L1="helped", L99="harmed"))
    assert found.tags == {"L1": Tag.HELPFUL}
    assert found.rejections == {"judges a note that was not shown": 1}


def test_a_note_judged_twice_is_not_judged():
    twice = {"effects": [*an_answer(L1="helped")["effects"], *an_answer(L1="harmed")["effects"]]}
    found = tagged(twice)
    assert not found.tags
    assert found.rejections == {"judges a note twice": 2}


def test_an_answer_in_another_form_is_counted_and_the_other_votes_stand():
    found = tagged("it helped a lot", {"effects": [{"note": "L1", "effect": "cured"}]},
                   an_answer(L1="harmed"))  # fmt: skip
    assert found.tags == {"L1": Tag.HARMFUL}
    assert found.rejections == {"no judgment of notes in the form asked for": 2}


def test_the_critic_reads_the_notes_by_their_ids_and_what_was_done():
    told = []

    def answer(turn):
        told.extend(message.text for message in turn.messages if message.origin is Origin.TASK)
        return json.dumps(an_answer(L1="neither"))

    asyncio.run(tag(FAILED, SHOWN, Scripted(answer), votes=1, seed=0, room=12_000))
    (request,) = told
    assert all(f"[{item.id}]" in request for item in SHOWN)
    assert FAILED.steps[0].action in request
    assert SHOWN[0].instead in request
