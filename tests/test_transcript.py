from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from environments.episode import Completion, Ending, Episode, Split, Step, Task
from environments.transcript import Origin, exchange, opening, retell, transcript

TASK = Task(id="t", environment="e", split=Split.TRAIN, kind="k", goal="g")

words = st.text(max_size=20)
steps = st.builds(
    Step,
    observation=words,
    completion=st.builds(Completion, text=words, token_ids=st.tuples(st.integers(0, 9))),
    action=st.none() | words,
)


def an_episode(taken, briefing, closing):
    return Episode(
        id="e1",
        task=TASK,
        steps=tuple(taken),
        ending=Ending.TRUNCATED,
        closing=closing,
        policy="p",
        seed=0,
        briefing=briefing,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
    )


@given(words, words, st.lists(steps, max_size=6), words)
def test_a_transcript_only_grows(instructions, briefing, taken, last):
    seen = [*(step.observation for step in taken), last]
    grown = [
        transcript(instructions, briefing, taken[:count], seen[count])
        for count in range(len(taken) + 1)
    ]
    for shorter, longer in pairwise(grown):
        assert longer[: len(shorter)] == shorter
        assert len(longer) == len(shorter) + 2


@given(words, words, st.lists(steps, max_size=6), words)
def test_an_empty_briefing_leaves_no_trace(instructions, briefing, taken, last):
    plain = transcript(instructions, "", taken, last)
    briefed = transcript(instructions, briefing, taken, last)
    assert Origin.MEMORY not in {message.origin for message in plain}
    assert tuple(m for m in briefed if m.origin is not Origin.MEMORY) == plain
    assert len(briefed) - len(plain) == bool(briefing)


@given(words, st.text(min_size=1, max_size=20), st.lists(steps, max_size=6), words)
def test_a_retold_episode_can_leave_out_what_memory_said(instructions, briefing, taken, last):
    episode = an_episode(taken, briefing, last)
    assert retell(episode, instructions) == transcript(instructions, briefing, taken, last)
    assert retell(episode, instructions, briefed=False) == transcript(instructions, "", taken, last)


@given(words, words, st.lists(steps, max_size=6), words)
def test_the_policy_wrote_exactly_its_completions(instructions, briefing, taken, last):
    told = transcript(instructions, briefing, taken, last)
    mine = [message for message in told if message.origin is Origin.POLICY]
    assert [m.text for m in mine] == [step.completion.text for step in taken]
    assert [m.token_ids for m in mine] == [step.completion.token_ids for step in taken]


def test_an_opening_is_rules_then_memory_then_the_task():
    told = opening("Rules.", "Remember.", "Do it.")
    assert [(m.origin, m.role, m.text) for m in told] == [
        (Origin.SYSTEM, "system", "Rules."),
        (Origin.MEMORY, "user", "Remember."),
        (Origin.TASK, "user", "Do it."),
    ]


def test_an_exchange_is_what_the_policy_wrote_and_what_it_read_then():
    step = Step(observation="A door.", completion=Completion(text="open it"), action="open door")
    told = exchange(step, "It opens.")
    assert [(m.origin, m.role, m.text) for m in told] == [
        (Origin.POLICY, "assistant", "open it"),
        (Origin.ENVIRONMENT, "user", "It opens."),
    ]
