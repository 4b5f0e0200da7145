"""The scripted endpoint of the learning bench learns from its prompt, and from nothing else."""

import ast
import json
from dataclasses import replace
from itertools import combinations

import pytest

from agent.critics.case import Case
from agent.critics.prompts.critic import messages
from agent.critics.scrutiny import Answer, scrutinize
from agent.endpoints.chat import as_chat
from bank_builders import a_demonstration, a_lesson
from bench.coder import CODER, HABITS, HELPER, PRINTS, TEXT, Coder, critique
from environments.code.code import SPENT
from environments.code.humaneval import HumanEval
from environments.episode import Completion, Ending, Step
from memory.knowledge.items import Move
from memory.recall.briefing import large
from store_worker import an_episode

SIGNS = {HELPER: "checked()", PRINTS: "return print(", TEXT: "str("}
"""What betrays each habit in a program."""

SAYS = {
    HELPER: "f(1) == 2: NameError: name 'checked' is not defined (line 4)",
    PRINTS: "0 of 2 tests pass.\nf(1) == 2: gave None",
    TEXT: "1 of 2 tests pass.\nf(1) == 2: gave '2'",
}
"""How the tests betray it."""


@pytest.fixture(scope="module")
def coder():
    return Coder()


@pytest.fixture(scope="module")
def habits_in(coder):
    """Return what tells the habits that are left in a function which would have all of them."""
    problems = HumanEval().problems.values()
    entry = next(
        each.entry
        for each in problems
        if all(habit.has(each.entry) for habit in HABITS) and "str(" not in each.solution
    )

    def found(briefing="", *failures):
        first = f"{briefing}\n\n{entry} ...\nYour task is to: write {entry}: what it says."
        chat = [{"role": "user", "content": each} for each in (first, *failures)]
        program = coder.answer({"model": CODER, "messages": chat})
        source = program.removeprefix("```python\n").removesuffix("\n```")
        assert ast.parse(source)
        return {habit for habit in HABITS if SIGNS[habit] in source}

    return found


def test_without_a_word_of_advice_it_does_what_it_always_did(habits_in):
    assert habits_in() == set(HABITS)
    assert habits_in("Notes: be careful, define no helper, print or return what you like.") == set(
        HABITS
    )


@pytest.mark.parametrize("heard", [*combinations(HABITS, 1), *combinations(HABITS, 2), HABITS])
def test_a_lesson_cures_what_it_is_about_and_so_does_a_failure(habits_in, heard):
    lessons = [a_lesson(**habit.lesson) for habit in heard]
    assert habits_in(large(lessons)) == set(HABITS) - set(heard)
    assert habits_in("", *(SAYS[habit] for habit in heard)) == set(HABITS) - set(heard)


def test_an_example_that_can_be_read_as_a_program_shows_how_to_end_one(habits_in):
    program = "```python\ndef g(n):\n    if n:\n        return 1\n    return 2\n```"
    shown = a_demonstration(moves=(Move(observation="Write g.", action=program),))
    assert habits_in(large([shown])) == {HELPER, TEXT}
    folded = replace(shown, moves=(Move(observation="Write g.", action=" ".join(program.split())),))
    assert habits_in(large([folded])) == set(HABITS)


@pytest.mark.parametrize("habit", HABITS)
def test_what_its_critic_reads_in_a_record_is_believed_and_becomes_the_lesson(habit):
    tried = [
        Step(observation=seen, admissible=(), completion=Completion(text="x"), action="def f(): 1")
        for seen in ("Your task is to: write f: what it says.", "0 of 2 tests pass.")
    ]
    closing = f"{SAYS[habit]}\n{SPENT}"
    failed = replace(an_episode(), steps=tuple(tried), ending=Ending.FAILED, closing=closing)
    case = Case(episode=failed)
    answer = Answer.model_validate_json(json.dumps(critique(as_chat(messages(case)))))
    opinion, rejections = scrutinize(answer, case)
    assert rejections == ()
    assert opinion.score == -1
    assert opinion.lesson.instead == habit.lesson["instead"]
