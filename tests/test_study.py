"""What was chosen is learned step by step, and a killed study ends as if it had not been."""

from collections import Counter
from dataclasses import replace
from itertools import count

import pytest
import torch

from distill.objectives.presets import PRESETS
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, collate, rows_of
from distill.sequences.encode import HeldOutError, Reading, Reason
from distill.teaching.curriculum import compared
from distill.teaching.teaching import taught
from distill.training.checkpoint import UnlikeError
from distill.training.rails import Rails
from distill.training.study import Bounds, Spent, study
from distill.training.train import Pace, Training
from environments.episode import Split
from learning import a_task, an_episode, tiny_encoder, tiny_student

LOOSE = Rails(most_kl=100.0, every=2)
"""Nobody acted here, so what was recorded is far from any policy; a checkpoint every two steps."""

PRESET = PRESETS["reward+critique"]
SHOWN = Chosen(
    reading=Reading(episode=an_episode("take gold", number=9), source=Source.DEMONSTRATION)
)


def steps(many: int = 5) -> list[tuple[Chosen, ...]]:
    """Some steps: each a group of two attempts, the loser shown what won, and a demonstration."""
    groups = [
        (
            an_episode("take gold", number=n, name=f"won-{n}"),
            an_episode("go left", "take iron ore", number=n, name=f"lost-{n}"),
        )
        for n in range(many)
    ]
    return [(*compared([group], hints=True)[0], SHOWN) for group in groups]


def a_training(**changes) -> Training:
    return Training(tiny_student(), Pace(**{"rate": 3e-3, "warmup": 2, **changes}))


def ticks():
    numbers = count()
    return lambda: float(next(numbers))


def learned(training, some, preset=PRESET, **rest):
    rest = {"rails": LOOSE, "clock": ticks(), **rest}
    return study(training, tiny_encoder(), some, preset, **rest)


def same(a: Training, b: Training) -> bool:
    return all(torch.equal(b.student.weights[n], w) for n, w in a.student.weights.items())


class KilledError(Exception):
    pass


def kill_after(step):
    def watch(progress):
        if progress.step == step:
            raise KilledError

    return watch


def test_every_step_given_is_one_of_the_optimizer_and_all_is_counted():
    training = a_training()
    done = learned(training, steps())
    assert (done.outcome.steps, training.step, done.samples) == (5, 5, 15)
    assert done.tokens == sum(collate(rows_of(tiny_encoder(), s)[0]).tokens for s in steps())
    assert done.dropped == Counter()
    assert (done.outcome.alarm, done.resumed_at, done.spent) == (None, 0, None)


@pytest.mark.parametrize("killed", [1, 2, 3, 4, 5])
def test_killed_at_any_step_it_ends_in_the_same_bits(tmp_path, killed):
    undisturbed = a_training()
    whole = learned(undisturbed, steps())
    with pytest.raises(KilledError):
        learned(a_training(), steps(), checkpoints=tmp_path, watch=kill_after(killed))
    again = a_training()
    done = learned(again, steps(), checkpoints=tmp_path)
    assert done.resumed_at == {1: 0, 2: 0, 3: 2, 4: 2, 5: 4}[killed]
    assert same(again, undisturbed)
    assert (done.samples, done.tokens, done.outcome.steps) == (whole.samples, whole.tokens, 5)
    assert done.episodes == whole.episodes


def test_the_rails_remember_what_they_saw_before_a_kill(tmp_path):
    narrow = Rails(most_kl=100.0, every=2, window=1, most_length=1.2)
    some = [*steps(4), *longer()]
    undisturbed = a_training()
    whole = learned(undisturbed, some, rails=narrow)
    with pytest.raises(KilledError):
        learned(a_training(), some, rails=narrow, checkpoints=tmp_path, watch=kill_after(4))
    again = a_training()
    done = learned(again, some, rails=narrow, checkpoints=tmp_path)
    assert done.outcome.alarm == whole.outcome.alarm
    assert "attempts grew" in done.outcome.alarm
    assert same(again, undisturbed)


def longer():
    lost = an_episode(*["wait"] * 9, "take iron ore", name="long")
    return [compared([(an_episode("take gold"), lost)])[0]]


def test_the_canaries_are_asked_once_before_all_sittings(tmp_path):
    asked = []

    def canary():
        asked.append(1)
        return 1.0

    with pytest.raises(KilledError):
        learned(a_training(), steps(), checkpoints=tmp_path, canary=canary, watch=kill_after(3))
    assert len(asked) == 2  # before, and after two steps
    learned(a_training(), steps(), checkpoints=tmp_path, canary=canary)
    assert len(asked) == 3  # after four; 1.0 before is remembered


def test_the_teacher_is_the_student_as_it_was_when_the_study_began():
    ours, by_hand = a_training(), a_training()
    some = steps(3)
    learned(ours, some)
    beginning = by_hand.student.copy()
    for step in some:
        work = collate(rows_of(tiny_encoder(), step)[0])
        work = taught(by_hand.student, work, part_tokens=4096, weights=beginning)
        by_hand.learn(work, PRESET.objective)
    assert same(ours, by_hand)


def test_a_step_of_which_nothing_is_usable_is_passed_over_and_counted():
    unusable = Chosen(reading=Reading(episode=replace(an_episode("wait"), steps=())))
    some = [steps()[0], (unusable,), steps()[1]]
    training = a_training()
    done = learned(training, some)
    assert (training.step, done.outcome.steps) == (2, 2)
    assert done.dropped == Counter({Reason.EMPTY: 1})


def test_no_step_begins_after_the_time_is_over(tmp_path):
    clock = [0.0]

    def watch(_):
        clock[0] += 10.0

    rest = {"checkpoints": tmp_path, "watch": watch, "clock": lambda: clock[0]}
    rest["bounds"] = Bounds(seconds=25.0)
    done = learned(a_training(), steps(), **rest)
    assert (done.outcome.steps, done.spent, done.seconds) == (3, Spent.SECONDS, 30.0)
    again = learned(a_training(), steps(), **rest)  # from the checkpoint: 20 s gone
    assert (again.resumed_at, again.outcome.steps, again.spent) == (2, 3, Spent.SECONDS)


def test_no_step_begins_after_the_tokens_are_used():
    whole = learned(a_training(), steps())
    done = learned(a_training(), steps(), bounds=Bounds(tokens=whole.tokens * 2 // 5))
    assert (done.outcome.steps, done.spent) == (2, Spent.TOKENS)
    assert done.episodes == ("won-0", "lost-0", "take_gold", "won-1", "lost-1")


def test_checkpoints_of_other_steps_are_refused(tmp_path):
    learned(a_training(), steps(), checkpoints=tmp_path)
    with pytest.raises(UnlikeError, match="steps"):
        learned(a_training(), steps(4), checkpoints=tmp_path)


def test_held_out_episodes_are_refused():
    secret = replace(an_episode("take gold"), task=a_task(split=Split.DEV))
    with pytest.raises(HeldOutError, match="dev"):
        learned(a_training(), [(Chosen(reading=Reading(episode=secret)),)])
