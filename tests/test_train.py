"""The loop learns what it is given, tells how it goes, and stops in time."""

from dataclasses import replace
from itertools import count
from math import isnan

import pytest
import torch

from distill.models.student import OutOfMemoryError, Trained
from distill.objectives.imitate import imitate
from distill.objectives.presets import DEFAULT, PRESETS, PresetError, preset_of
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, collate, rows_of
from distill.sequences.encode import Reading
from distill.teaching.curriculum import compared, internalised
from distill.teaching.teaching import taught
from distill.training.rails import Rails
from distill.training.train import RATES, Pace, Training, scalars, train
from environments.errors import UnknownNameError
from learning import an_episode, tiny_encoder, tiny_student

WON, LOST = an_episode("take gold"), an_episode("go left", "take iron ore")
LOOSE = Rails(most_kl=100.0)
"""Nobody acted here: what these episodes recorded is far from any policy."""

DEMONSTRATION = Chosen(reading=Reading(episode=WON, source=Source.DEMONSTRATION))


def work(*chosen: Chosen):
    return collate(rows_of(tiny_encoder(), chosen)[0])


def group(hints: bool = True):
    return work(*compared([(WON, LOST, replace(WON, id="again"))], hints=hints)[0])


def seconds():
    ticks = count()
    return lambda: float(next(ticks))


def a_training(**changes) -> Training:
    return Training(tiny_student(), Pace(**{"rate": 1e-2, "warmup": 1, **changes}))


def probability(training: Training, some, row: int = 0) -> float:
    with torch.no_grad():
        taken_BT = training.student.speak(some).logprobs.taken_BT
    return float(taken_BT[row].sum().exp())


@pytest.mark.parametrize("trained", Trained)
def test_imitating_makes_a_demonstration_certain(trained):
    some = work(DEMONSTRATION)
    training = Training(tiny_student(trained), Pace(rate=2e-2, warmup=1))
    outcome = train(training, [some] * 40, imitate, clock=seconds())
    assert (outcome.steps, outcome.alarm) == (40, None)
    assert probability(training, some) > 0.9


@pytest.mark.parametrize("name", [name for name, each in PRESETS.items() if each.practises])
def test_every_preset_that_practises_prefers_what_won(name):
    training, some = a_training(rate=3e-3), group()
    wins = torch.tensor([row.reward > 0 for row in some.rows])
    taken = lambda: training.student.speak(some).logprobs.taken_BT.detach().sum(1)  # noqa: E731
    told = taught(training.student, some, part_tokens=4096) if PRESETS[name].teaches else some
    before = taken()
    train(training, [told] * 4, PRESETS[name].objective, clock=seconds(), rails=LOOSE)
    moved = taken() - before
    if "reward" in name:
        assert moved[wins].mean() > moved[~wins].mean()
    assert moved.abs().max() > 1e-3


@pytest.mark.parametrize("name", ["reward", DEFAULT])
def test_what_memory_helped_to_do_is_learned_without_its_words(name):
    group = [replace(each, briefing="hint : take gold") for each in (WON, LOST)]
    some = work(*internalised(compared([group])[0]))
    assert (some.batch.source_B == Source.REFINEMENT).all()
    training = a_training(rate=3e-3)
    told = taught(training.student, some, part_tokens=4096)
    wins = [row.reward > 0 for row in some.rows].index(True)
    before = probability(training, some, wins)
    outcome = train(training, [told] * 4, PRESETS[name].objective, clock=seconds(), rails=LOOSE)
    assert outcome.alarm is None
    assert probability(training, some, wins) > before


def test_a_cold_start_reads_demonstrations_only():
    training, some = a_training(), group()
    before = training.student.copy()
    training.learn(some, PRESETS["cold-start"].objective)
    assert all(torch.equal(training.student.weights[n], w) for n, w in before.items())


def test_the_default_preset_is_both_terms():
    assert DEFAULT == "reward+critique"
    assert DEFAULT in PRESETS


def test_the_rate_warms_up_and_stays():
    training, some = a_training(rate=1.0e-3, warmup=4), work(DEMONSTRATION)
    rates = []
    for _ in range(6):
        training.learn(some, imitate)
        rates.append(training.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_a_step_is_as_long_as_its_clip_allows_whatever_the_parts():
    whole, parted = a_training(), a_training(part_tokens=15)
    some = work(DEMONSTRATION, *compared([(WON, LOST)])[0])
    first, second = whole.learn(some, imitate), parted.learn(some, imitate)
    assert first.loss == pytest.approx(second.loss, rel=1e-5)
    assert first.gradient == pytest.approx(second.gradient, rel=1e-4)


def test_the_loop_tells_how_it_goes():
    told = []
    train(
        a_training(),
        [group()] * 3,
        PRESETS["reward"].objective,
        clock=seconds(),
        rails=LOOSE,
        of=3,
        watch=told.append,
    )
    assert [each.step for each in told] == [1, 2, 3]
    assert told[0].reward == pytest.approx(2 / 3)
    assert 0 < told[0].vitals.entropy < 1.2  # at most ln 3 nats
    assert told[0].vitals.kl > 0  # -0.5 was recorded, the random model says otherwise
    assert told[0].tokens_per_s == group().tokens  # the clock ticks once a second
    assert [each.remaining_s for each in told] == [2.0, 1.0, 0.0]


def test_demonstrations_alone_have_no_reward_and_no_drift():
    told = []
    train(a_training(), [work(DEMONSTRATION)], imitate, clock=seconds(), watch=told.append)
    assert isnan(told[0].reward)
    assert isnan(told[0].vitals.kl)
    assert isnan(told[0].vitals.entropy)


def test_a_loss_of_nan_leaves_the_last_good_weights_and_says_so():
    training, some = a_training(), work(DEMONSTRATION)
    before = training.student.copy()
    outcome = train(
        training, [some] * 3, lambda said, batch: imitate(said, batch) * torch.nan, clock=seconds()
    )
    assert "lower the rate" in outcome.alarm
    assert outcome.steps == 1
    assert all(torch.equal(training.student.weights[n], w) for n, w in before.items())


def test_a_fall_of_the_canaries_restores_what_was_good():
    training, some = a_training(), work(DEMONSTRATION)
    before = training.student.copy()
    scores = iter([0.9, 0.2])
    outcome = train(
        training,
        [some] * 5,
        imitate,
        clock=seconds(),
        rails=Rails(every=2),
        canary=lambda: next(scores),
    )
    assert outcome.alarm == "the canaries fell from 0.90 to 0.20"
    assert outcome.steps == 2
    assert all(torch.equal(training.student.weights[n], w) for n, w in before.items())


def test_the_same_training_twice_is_the_same_to_the_bit():
    ends = []
    for _ in range(2):
        training = a_training()
        train(training, [group()] * 3, PRESETS["reward"].objective, clock=seconds())
        ends.append(training.student.copy())
    assert all(torch.equal(ends[1][name], weight) for name, weight in ends[0].items())


def test_curves_go_to_whoever_writes_scalars_and_unknown_ones_do_not():
    written = {}

    class Writer:
        def add_scalar(self, tag, scalar_value, global_step):
            written[tag, global_step] = scalar_value

    train(a_training(), [work(DEMONSTRATION)], imitate, clock=seconds(), watch=scalars(Writer()))
    assert ("train/loss", 1) in written
    assert ("train/reward", 1) not in written


def test_out_of_memory_names_the_setting_to_change():
    def greedy(*_):
        return torch.empty(2**50, dtype=torch.uint8)  # more than can be addressed

    with pytest.raises(OutOfMemoryError, match="lower `part_tokens`") as raised:
        a_training().learn(work(DEMONSTRATION), greedy)
    assert "\n" not in str(raised.value)


def test_another_error_is_not_taken_for_one_of_memory():
    def odd(*_):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        a_training().learn(work(DEMONSTRATION), odd)


def test_both_kinds_of_training_have_a_rate():
    assert set(RATES) == set(Trained)


OWN = """
from distill.objectives.negative import sparing
from distill.objectives.reinforce import clipped, reinforce
from distill.objectives.presets import Preset

GENTLE = Preset(objective=sparing(reinforce(clipped())), practises=True, teaches=False)
SUM = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_presets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


def test_what_comes_ready_made_is_had_by_its_name():
    assert all(preset_of(name) is preset for name, preset in PRESETS.items())


@pytest.mark.usefixtures("own")
def test_a_composition_of_ones_own_trains():
    training, some = a_training(), group(hints=False)
    before = probability(training, some)
    gentle = preset_of("my_presets:GENTLE").objective
    train(training, [some] * 4, gentle, clock=seconds(), rails=LOOSE)
    assert probability(training, some) != before


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("magic", UnknownNameError, "no preset 'magic'; known: .*reward.critique, MODULE:PRESET"),
        ("nowhere_at_all:P", PresetError, "No module named 'nowhere_at_all'; it must be on PYTHON"),
        ("my_presets:HARSH", PresetError, "has no attribute 'HARSH'"),
        ("my_presets:SUM", PresetError, "is no Preset but of type int"),
    ],
)
def test_what_cannot_be_had_is_one_line(name, error, said):
    with pytest.raises(error, match=said):
        preset_of(name)
