"""An order freezes how far the model may judge itself and what people corrected."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import pytest

from apprentice.distilling.lessons import lessons
from apprentice.loop.jobs import once, unfinished
from apprentice.settings.orders import Order, ordered, write_order
from auditing import an_audit
from bank_builders import a_source
from distill.sequences.batch import Source
from distilling import KilledError, library_of, lived_in, offered, settings_of
from environments.anchor import Anchor
from environments.episode import Split
from memory.bank.annotations import Annotation
from memory.knowledge.items import Critique
from memory.store.errors import UnknownIdError
from practicing import NOON


@pytest.fixture(scope="module")
def lived(tmp_path_factory, model):
    return lived_in(tmp_path_factory.mktemp("lived") / "home", model)


@pytest.fixture
def config(lived, model, tmp_path):
    return settings_of(shutil.copytree(lived, tmp_path / "home"), model)


def cold(config):
    update = {"preset": "cold-start", "passes": 1}
    return config.model_copy(update={"distill": config.distill.model_copy(update=update)})


def measured(config, number, policy, **gaps):
    """Keep the report of a gap audit that decided these kinds of task."""
    verdicts = {kind: (*bounds, True) for kind, bounds in gaps.items()}
    an_audit(config.home, number, policy=policy, judge=policy, **verdicts)


def correct(library, episode, step=1, **changes):
    """Let a person name another action at a step."""
    taken = episode.steps[step - 1]
    better = next(each for each in taken.admissible if each != taken.action)
    said = {"episode": episode.id, "step": step, "action": better, "by": "me", "at": NOON}
    return library.annotations.add(Annotation(**{**said, **changes}))


def hints(config, order, library):
    """Return how many attempts are learned from under each hint."""
    steps = lessons(config.distill, order, library).steps
    return [
        each.reading.hint for step in steps for each in step
        if each.reading.source is Source.ROLLOUT
    ]  # fmt: skip


def test_a_gap_counts_as_it_was_when_the_order_was_placed(config, model):
    with library_of(config) as library:
        kind = library.environment.tasks(Split.TRAIN)[0].kind
        for row in library.store.rows(limit=100):
            source = replace(a_source(anchor=Anchor.SELF), episodes=(row.id,))
            library.bank.criticize(
                Critique(
                    episode=row.id, score=-1, votes=(-1,), hint="I was right.", citations=(),
                    source=source,
                )
            )  # fmt: skip
        assert offered(config, library).order.gaps == {}
        measured(config, 1, str(model), **{kind: (0.1, 0.3)})
        order = offered(config, library).order
        assert order.gaps == {kind: (0.1, 0.3)}
        trusting = hints(config, order, library)
        measured(config, 2, str(model), **{kind: (-0.3, -0.1)})
        measured(config, 3, f"{model}@other", **{kind: (0.5, 0.6)})
        assert hints(config, order, library) == trusting
        assert trusting.count("I was right.") > 0
        doubting = offered(config, library).order
        assert doubting.gaps == {kind: (-0.3, -0.1)}
        assert hints(config, doubting, library).count("I was right.") == 0
        assert Order.from_json(json.loads(json.dumps(order.to_json(), default=str))) == order


def test_what_a_person_corrected_is_learned_beside_what_is_replayed(config):
    with library_of(config) as library:
        episode = library.store.get(library.store.rows(limit=1)[0].id)
        correct(library, episode)
        last = correct(library, episode)  # at the same step: it replaces the first
        exam = replace(episode, id="exam", task=replace(episode.task, split=Split.DEV))
        library.store.add(exam)
        correct(library, exam)
        library.annotations.add(Annotation(episode=episode.id, score=1, by="me", at=NOON))
        order = offered(cold(config), library).order
        assert order.corrections == (last.id,)
        told = lessons(cold(config).distill, order, library)
    found = [
        each for step in told.steps for each in step
        if each.reading.episode.id == f"{episode.id}+{last.id}"
    ]  # fmt: skip
    (only,) = found
    assert only.reading.source is Source.DEMONSTRATION
    assert only.reading.episode.actions == (last.action,)
    assert only.weight == 1.0
    assert told.shown[only.reading.episode.id].episodes == (episode.id,)


def test_a_correction_alone_is_something_new_to_learn_and_names_its_episode_in_the_lineage(config):
    config = cold(config)
    with library_of(config) as library:
        assert run(config, library).kept
        library.adapters.promote("distilled-1")
        assert offered(config, library).order is None
        episode = library.store.get(library.store.rows(limit=1)[0].id)
        correct(library, episode)
        assert run(config, library).kept
        library.adapters.promote("distilled-2")
        assert episode.id in library.adapters.lineage("distilled-2").episodes
        assert offered(config, library).order is None


def run(config, library, watch=lambda _: None):
    return once(config, library, clock=lambda: NOON, watch=lambda _: nullcontext(watch)).report


def test_a_killed_job_learns_the_corrections_that_it_began_with(config):
    with library_of(config) as library:
        first, second = (library.store.get(r.id) for r in library.store.rows(limit=2))
        kept = correct(library, first)

        def killed(_):
            raise KilledError

        with pytest.raises(KilledError):
            run(config, library, killed)
        begun = unfinished(library)
        told = lessons(config.distill, begun, library)
        correct(library, first)
        correct(library, second)
        assert begun.corrections == (kept.id,)
        assert lessons(config.distill, begun, library) == told
        assert run(config, library).kept
        assert next(iter(ordered(library.orders))).corrections == (kept.id,)


def test_an_order_whose_correction_was_forgotten_cannot_be_carried_out(config):
    with library_of(config) as library:
        episode = library.store.get(library.store.rows(limit=1)[0].id)
        correct(library, episode)
        order = offered(config, library).order
        with pytest.raises(UnknownIdError, match="no annotation has the id 'A0'"):
            lessons(config.distill, replace(order, corrections=("A0",)), library)
        write_order(library.orders, replace(order, corrections=("A0",)))
        assert run(config, library).kept  # it was taken back, and another placed
