"""What people say of episodes: kept, shown, exported, forgotten with them, and learned from."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from apprentice.cli import app
from command import apprentice, one_line
from distill.sequences.batch import Source
from distill.sequences.collate import rows_of
from distill.signals.corrections import corrected
from environments.anchor import Anchor
from environments.episode import Split
from environments.wire import episode_from_json
from learning import an_episode as walked
from learning import tiny_encoder
from memory.bank.annotations import Annotation, AnnotationError, Annotations, check, to_plain
from memory.bank.bank import Bank
from memory.store.store import Store
from store_worker import an_episode

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SAID = Annotation(
    episode="e1", score=-1, step=1, action="look", note="Look first.", by="me", at=NOON
)


@pytest.fixture
def home(tmp_path):
    with Store.open(tmp_path / "apprentice.sqlite") as store:
        store.add(an_episode())
        store.add(an_episode("e2", minute=1))
    return tmp_path


def run(*args, home):
    from typer.testing import CliRunner

    return CliRunner().invoke(app, [*map(str, args), "--home", str(home)])


def test_what_was_said_is_kept_in_order_and_is_anchored_in_a_person(home):
    with Annotations.open(home / "apprentice.sqlite") as kept:
        first = kept.add(SAID)
        second = kept.add(replace(SAID, score=1, step=None, action=None, note=""))
        kept.add(replace(SAID, episode="e2"))
        assert kept.of("e1") == (first, second)
        assert len(kept.all()) == 3
    assert first == replace(SAID, id=first.id)
    assert first.id.startswith("A")
    assert first.id != second.id
    assert first.anchor is Anchor.HUMAN


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": None}, "give both"),
        ({"action": None}, "give both"),
        ({"step": 3}, "it has 1 to 2"),
        ({"action": "lock fridge 1"}, "was not possible there; nearest: "),
        ({"score": None, "step": None, "action": None, "note": ""}, "nothing was said"),
    ],
)
def test_what_does_not_fit_the_episode_is_refused_in_one_line(changes, said):
    with pytest.raises(AnnotationError) as caught:
        check(replace(SAID, **changes), an_episode())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_keeps_it_show_tells_it_and_export_carries_it(home):
    said = run("episodes", "annotate", "e1", "--score", -1, "--correct", "look", "--step", 1,
               "--note", "a <b>\x1b[31m", "--by", "Ada", "--json", home=home)  # fmt: skip
    told = json.loads(said.output)
    assert (told["score"], told["action"], told["anchor"]) == (-1, "look", "human")
    shown = run("episodes", "show", "e1", home=home).output
    assert "Ada" in shown
    assert "step 1 should be 'look'" in shown
    assert "\x1b" not in shown
    assert "Ada" not in run("episodes", "show", "e2", home=home).output
    whole = json.loads(run("episodes", "show", "e1", "--json", home=home).output)
    assert whole["annotations"] == [told]
    exported = run("episodes", "export", home=home).output.splitlines()
    by_id = {json.loads(line)["id"]: line for line in exported}
    assert json.loads(by_id["e1"])["annotations"] == [told]
    assert "annotations" not in json.loads(by_id["e2"])
    assert episode_from_json(by_id["e1"]) == an_episode()


def test_a_wrong_annotation_is_one_line(home):
    failed = apprentice("episodes", "annotate", "e1", "--correct", "look", "--home", home, cwd=home)
    assert "give both" in one_line(failed)


def test_it_is_forgotten_with_its_episode_and_survives_a_rebuild(home):
    with Annotations.open(home / "apprentice.sqlite") as kept:
        kept.add(SAID)
        other = kept.add(replace(SAID, episode="e2"))
        with Bank.open(home / "apprentice.sqlite") as bank:
            bank.forget("e1", "asked to", NOON)
            bank.rebuild()
        assert kept.of("e1") == ()
        assert kept.all() == (other,)
    assert b"Look first." not in _journal_of(home, "e1")


def _journal_of(home, episode):
    import sqlite3

    with sqlite3.connect(home / "apprentice.sqlite") as connection:
        rows = connection.execute("SELECT * FROM journal WHERE subject = ?", (episode,)).fetchall()
    connection.close()
    return repr(rows).encode()


def test_a_correction_teaches_the_better_action_and_nothing_else():
    episode = walked("go left", "wait", "take iron ore")
    said = Annotation(id="A7", episode=episode.id, step=2, action="go right", by="me", at=NOON)
    chosen = corrected(episode, said)
    reading = chosen.reading
    assert [step.action for step in reading.episode.steps] == ["go left", "go right"]
    assert (reading.source, reading.imitated) == (Source.DEMONSTRATION, (False, True))
    assert reading.episode.reward == 0.0
    (row,), dropped = rows_of(tiny_encoder(), [chosen])
    assert not dropped
    decided = {row.encoded.ids[d.position] for d in row.encoded.decisions}
    renderer = tiny_encoder().renderer
    assert decided <= set(renderer.action("go right"))
    assert decided


def test_a_score_alone_corrects_nothing():
    assert corrected(an_episode(), replace(SAID, step=None, action=None)) is None


def test_a_correction_of_a_held_out_episode_is_no_training_data():
    episode = walked("go left", "wait")
    held_out = replace(episode, task=replace(episode.task, split=Split.DEV))
    said = Annotation(id="A7", episode=episode.id, step=2, action="go right", by="me", at=NOON)
    chosen = corrected(held_out, said)
    with pytest.raises(ValueError, match="only train tasks"):
        rows_of(tiny_encoder(), [chosen])


def test_an_annotation_as_plain_values_names_its_anchor():
    assert to_plain(SAID)["anchor"] == "human"
    assert json.dumps(to_plain(SAID))
