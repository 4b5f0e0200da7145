"""Answers that are no answers: a critic is left with nothing of them but their reasons."""

import json
from random import Random

from agent.critics.scrutiny import LONGEST_FIELD, Rejection
from agent.endpoints.structured import LONGEST_ANSWER
from criticizing import (
    ADVICE,
    FAILED,
    HINT,
    INJECTION,
    an_answer,
    criticized,
    from_server,
    injected,
)
from endpoint import says
from memory.knowledge.admission import refusal

# Fuzz: each mutation makes an answer that must leave no trace but its reason.


def _wrong_type(rng):
    name = rng.choice(["score", "citations", "hint", "lesson"])
    wrong = [None, [], {}, 7, 0.5, True, "x", [1], {"a": 1}, "1"]
    allowed = {"score": [], "citations": [[]], "hint": ["x", "1"], "lesson": [None]}
    value = rng.choice([each for each in wrong if each not in allowed[name]])
    return an_answer(**{name: value})


def _missing(rng):
    answer = an_answer()
    if rng.random() < 0.5:
        del answer[rng.choice(list(answer))]
        return answer
    part = rng.choice(list(ADVICE))
    return an_answer(lesson={name: text for name, text in ADVICE.items() if name != part})


def _invented_step(rng):
    return an_answer(
        citations=[
            *rng.choice([[], an_answer()["citations"]]),
            {"step": rng.choice([-1, 5, 99, 10**9, -(10**30)]), "quote": "You arrive at"},
        ]
    )


def _invented_quote(rng):
    words = FAILED.steps[2].observation.split()
    rng.shuffle(words)
    return an_answer(citations=[{"step": 2, "quote": f"xyzzy {' '.join(words)}"}])


def _injection(rng):
    copy = rng.choice([str, str.lower, str.title])(INJECTION)
    where = rng.choice(["hint", "when", "fault", "why", "instead", "unless", "both"])
    lesson = {**ADVICE, **({where: copy} if where in ADVICE else {"instead": copy})}
    return an_answer(hint=copy, lesson=lesson)


def _huge(rng):
    if rng.random() < 0.5:
        sizes = [LONGEST_FIELD + 1, 20_000, 90_000, LONGEST_ANSWER, 4_000_000]
        return an_answer(hint="a" * rng.choice(sizes))
    return an_answer(citations=an_answer()["citations"] * rng.choice([21, 500, 5_000]))


def _bad_unicode(rng):
    bad = rng.choice(["\ud800", "\udfff", "\x00", "\x1b[2J", "\u202e", "\ue000", "\ufdd0"])
    place = rng.choice(["hint", "quote", "lesson"])
    if place == "hint":
        return an_answer(hint=f"{HINT}{bad}")
    if place == "quote":
        return an_answer(citations=[{"step": 2, "quote": f"You arrive{bad}"}])
    return an_answer(lesson={**ADVICE, "why": f"because{bad}"})


def _no_json(rng):
    text = json.dumps(an_answer())
    return rng.choice(
        [
            "",
            text[: rng.randrange(len(text))],
            text.replace('"', "'"),
            "[" * rng.randrange(1, 5000),
            '{"a":' * rng.randrange(1, 5000),
            "".join(chr(rng.randrange(1, 0xD800)) for _ in range(50)),
            "\ud800" + text.replace("look", "\udc00"),
            f"{text}{text}",
            "null",
            "NaN",
        ]
    )


MUTATIONS = {
    _wrong_type: {Rejection.MALFORMED},
    _missing: {Rejection.MALFORMED},
    _invented_step: {Rejection.NO_SUCH_STEP, Rejection.MALFORMED},
    _invented_quote: {Rejection.NOT_OBSERVED},
    _injection: {Rejection.HINT_COPIED, Rejection.LESSON_COPIED},
    _huge: {Rejection.OVERLONG},
    _bad_unicode: {Rejection.NOT_TEXT, Rejection.MALFORMED},
    _no_json: {Rejection.MALFORMED},
}


def harmless(heard, case):
    """Whether nothing but a true score and true quotes came through."""
    if heard.critique is None:
        return heard.advice is None
    return (
        heard.advice is None
        and heard.critique.hint == ""
        and heard.critique.score == -1
        and refusal(heard.critique) is None
        and all(c.quote in case.seen[c.step] for c in heard.critique.citations)
    )


def test_two_thousand_malformed_answers_leave_nothing_but_their_reasons():
    case = injected()
    counted = dict.fromkeys(Rejection, 0)
    for number in range(2_000):
        rng = Random(number)
        mutate, expected = list(MUTATIONS.items())[number % len(MUTATIONS)]
        heard = criticized(mutate(rng), case=case)
        assert harmless(heard, case), (number, mutate.__name__)
        assert heard.rejections, (number, mutate.__name__)
        assert set(heard.rejections) <= expected, (number, mutate.__name__)
        for reason, times in heard.rejections.items():
            counted[reason] += times
    assert counted[Rejection.HINT_COPIED] == counted[Rejection.LESSON_COPIED] == 250
    assert sum(counted.values()) == 2_250
    assert sum(times > 0 for times in counted.values()) >= 7


def test_half_a_surrogate_pair_from_a_server_is_no_fault_of_the_server():
    heard, _ = from_server(says("\ud800 no json"))
    assert dict(heard.rejections) == {Rejection.MALFORMED: 1}


def test_malformed_answers_from_a_server_are_counted_too():
    case = injected()
    for number in range(3 * len(MUTATIONS)):
        mutate, expected = list(MUTATIONS.items())[number % len(MUTATIONS)]
        answer = mutate(Random(number))
        text = answer if isinstance(answer, str) else json.dumps(answer)
        heard, _ = from_server(says(text), case=case)
        assert harmless(heard, case), (number, mutate.__name__)
        assert set(heard.rejections) <= expected, (number, mutate.__name__)
        assert heard.rejections, (number, mutate.__name__)
