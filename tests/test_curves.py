"""The curves of a training, read back from where TensorBoard and Trackio keep them."""

import sys

import pytest

from distill.training.curves import curves, trackio_curves
from distill.training.rails import Vitals
from distill.training.train import Progress
from environments.errors import UserError


def a_step(number, loss):
    vitals = Vitals(loss=loss, entropy=0.5, kl=0.0, gradient=1.0, length=4.0)
    return Progress(
        step=number, of=9, vitals=vitals, reward=float("nan"), tokens_per_s=8.0, remaining_s=None
    )


def test_trackio_keeps_the_curves_and_a_killed_training_goes_on_with_its_own(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    pytest.importorskip("trackio", reason="pip install '.[trackio]'")
    from trackio.sqlite_storage import SQLiteStorage

    for steps in ((1, 2, 3), (3, 4)):  # killed after the third, and taken again from it
        with trackio_curves("apprentice", "distilled-0001") as watch:
            for number in steps:
                watch(a_step(number, loss=1.0 / number))
    assert capsys.readouterr().out == ""
    kept = SQLiteStorage.get_logs("apprentice", "distilled-0001")
    assert [(row["step"], row["train/loss"]) for row in kept] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
        (4, 0.25),
    ]
    assert all("train/reward" not in row for row in kept)  # nobody measured it


def test_tensorboard_shows_a_step_that_was_taken_again_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in ((1, 2, 3), (3, 4)):
        with curves(tmp_path) as watch:
            for number in steps:
                watch(a_step(number, loss=1.0))
    told = EventAccumulator(str(tmp_path))
    told.Reload()
    assert [point.step for point in told.Scalars("train/loss")] == [1, 2, 3, 4]


def test_without_trackio_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with (
        pytest.raises(UserError, match=r"pip install '\.\[trackio\]'"),
        trackio_curves("apprentice", "distilled-0001"),
    ):
        pass
