"""What is worth learning is chosen, learned and kept with its lineage, killed or not."""

import json
import shutil
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from apprentice.distilling.choosing import Shown, mastered, shown_tasks
from apprentice.distilling.distilling import StaleOrderError, canary, distil, open_training
from apprentice.distilling.lessons import lessons
from apprentice.gate.proving import set_aside
from apprentice.loop.jobs import Job, offered, once, unfinished
from apprentice.settings.config import Memory
from apprentice.settings.orders import Order, ordered, read_report, write_order
from bank_builders import a_demonstration, a_source
from distill.models.adapters import Adapters
from distill.sequences.batch import Source
from distill.sequences.encode import Reason
from distilling import KilledError, learner, library_of, lived_in, practised, settings_of
from environments.anchor import Anchor
from environments.episode import Ending, Split
from memory.knowledge.items import Critique, Move, Standing
from practicing import NOON


@pytest.fixture(scope="module")
def lived(tmp_path_factory, model):
    return lived_in(tmp_path_factory.mktemp("lived") / "home", model)


@pytest.fixture
def home(lived, tmp_path):
    return shutil.copytree(lived, tmp_path / "home")


@pytest.fixture
def config(home, model):
    return settings_of(home, model)


def changed(config, **distill):
    return config.model_copy(update={"distill": config.distill.model_copy(update=distill)})


def job(config, watch=lambda _: None) -> Job:
    with library_of(config) as library:
        return once(config, library, clock=lambda: NOON, watch=lambda _: nullcontext(watch))


def weights(config, name):
    return load_file(config.home / "adapters" / name / "model.safetensors")


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def told_of(episode, *, anchor=Anchor.TOOL, hint="Go to the right room."):
    source = replace(a_source(anchor=anchor), episodes=(episode,))
    return Critique(episode=episode, score=-1, votes=(-1,), hint=hint, citations=(), source=source)


def test_only_groups_that_end_differently_are_worth_learning(config):
    with library_of(config) as library:
        offer = offered(config, library, NOON)
        groups = {}
        for episode in library.store.episodes():
            groups.setdefault(episode.task.id, []).append(episode)
    mixed = [g for g in groups.values() if len({each.reward for each in g}) > 1]
    assert 0 < len(mixed) < len(groups)  # else this shows nothing
    assert set(offer.order.attempts) == {each.id for group in mixed for each in group}
    assert offer.dropped == Counter({Reason.EVEN_GROUP: 72 - len(offer.order.attempts)})
    assert offer.tokens > 0


def test_a_critique_makes_an_even_group_worth_learning(config):
    with library_of(config) as library:
        chosen = set(offered(config, library, NOON).order.attempts)
        other = next(e for e in library.store.episodes() if e.id not in chosen and not e.solved)
        kept = library.bank.criticize(told_of(other.id))
        offer = offered(config, library, NOON)
        assert set(offer.order.attempts) == chosen | {other.id}
        assert offer.order.critiques == (kept.id,)
        without = offered(changed(config, preset="reward"), library, NOON).order
        assert set(without.attempts) == chosen  # no teacher would read it
        steps = lessons(config.distill, offer.order, library).steps
        found = [each for step in steps for each in step if each.reading.episode.id == other.id]
        assert [(e.reading.hint, e.advantage) for e in found] == [("Go to the right room.", 0.0)]


def test_what_only_the_model_vouches_for_stays_a_quarter(config):
    with library_of(config) as library:
        attempts = offered(config, library, NOON).order.attempts
        for id in attempts:
            library.bank.criticize(told_of(id, anchor=Anchor.SELF, hint="I was right."))
        more = [e.id for e in library.store.episodes() if e.id not in attempts][: len(attempts) * 2]
        for id in more:
            library.bank.criticize(told_of(id))
        order = offered(config, library, NOON).order
        told = lessons(config.distill, order, library)
    hints = Counter(
        each.reading.hint for step in told.steps for each in step
        if each.reading.source is Source.ROLLOUT
    )  # fmt: skip
    others = hints["Go to the right room."]
    assert others == 2 * len(attempts)
    assert 0 < hints["I was right."] <= (others) / 3 + 1
    assert any("weights times" in remark for remark in told.remarks)


def test_episodes_of_another_model_are_left_out_by_reason(config):
    with library_of(config) as library:
        strange = [
            replace(e, id=f"x{e.id}", steps=tuple(
                replace(s, completion=replace(s.completion, token_ids=(), logprobs=()))
                for s in e.steps))
            for e in library.store.episodes()
        ]  # fmt: skip
        library.store.add_all(strange)
        offer = offered(config, library, NOON)
    assert offer.dropped[Reason.NOT_RECORDED] == 72
    assert not any(id.startswith("x") for id in offer.order.attempts)


def test_a_budget_of_episodes_takes_whole_groups_of_the_newest(config):
    with library_of(config) as library:
        order = offered(changed(config, episodes=20), library, NOON).order
        full = offered(config, library, NOON).order
    assert len(order.attempts) in (8, 16)
    assert set(order.attempts) < set(full.attempts)


def test_held_out_episodes_are_never_ordered(config):
    with library_of(config) as library:
        secret = [
            replace(e, id=f"s{e.id}", task=replace(e.task, split=Split.DEV, id="dev"))
            for e in library.store.episodes()
        ]
        library.store.add_all(secret)
        order = offered(config, library, NOON).order
    assert not any(id.startswith("s") for id in order.attempts)


def test_a_job_keeps_a_candidate_with_its_lineage_and_a_report(config):
    done = job(config)
    report = done.report
    assert (report.name, report.kept, report.adopted, done.resumed) == (
        "distilled-1", True, None, False,
    )  # fmt: skip
    with library_of(config) as library:
        order = next(iter(ordered(library.orders)))
        lineage = library.adapters.lineage("distilled-1")
        assert library.adapters.current() is None
        assert read_report(library.adapters, "distilled-1") == report
        assert not (library.orders / "distilled-1").exists()  # its checkpoints
    assert set(lineage.episodes) == set(order.attempts)
    assert set(lineage.walkthroughs) <= set(order.walkthroughs)
    assert lineage.walkthroughs
    assert (lineage.parent, lineage.objective, lineage.seed) == (None, "reward+critique", 0)
    assert len(lineage.digest) == 32
    assert report.tokens > 0
    assert report.steps == len(report_steps(config, order))


def report_steps(config, order):
    with library_of(config) as library:
        return lessons(config.distill, order, library).steps


def test_what_was_learned_is_not_learned_again(config):
    assert job(config).report is not None
    again = job(config)
    assert again.report is None
    with library_of(config) as library:
        assert library.adapters.names() == ("distilled-1",)


def test_learning_goes_on_from_the_promoted_adapter(config, model):
    job(config)
    Adapters(config.home / "adapters").promote("distilled-1")
    practised(config)
    report = job(config).report
    with library_of(config) as library:
        newest = library.store.rows(limit=1)[0]
        child = library.adapters.lineage("distilled-2")
        assert library.adapters.blame("distilled-2")[: len(child.episodes)] != child.episodes
    assert newest.policy == f"{model}@distilled-1"
    assert (report.name, report.parent, child.parent) == ("distilled-2", *["distilled-1"] * 2)


@pytest.mark.parametrize("killed", [1, 2])
def test_killed_at_a_step_the_next_job_ends_in_the_same_weights(config, tmp_path, killed):
    config = changed(config, every=1)
    twin = config.model_copy(update={"home": tmp_path / "twin"})
    shutil.copytree(config.home, twin.home)
    assert job(twin).report.steps > 1

    def watch(progress):
        if progress.step == killed:
            raise KilledError

    with pytest.raises(KilledError):
        job(config, watch)
    practised(config)  # what comes later changes nothing
    with library_of(config) as library:
        assert unfinished(library).name == "distilled-1"
        assert library.adapters.names() == ()
    done = job(config)
    assert done.resumed
    assert same(weights(config, "distilled-1"), weights(twin, "distilled-1")) == 0.0
    lineages = [Adapters(c.home / "adapters").lineage("distilled-1") for c in (config, twin)]
    assert lineages[0] == lineages[1]


def test_killed_between_report_and_adapter_it_is_made_all_the_same(config):
    job(config)
    before = weights(config, "distilled-1")
    shutil.rmtree(config.home / "adapters" / "distilled-1")
    done = job(config)
    assert done.resumed
    assert same(weights(config, "distilled-1"), before) == 0.0


def test_an_order_that_names_a_forgotten_episode_is_taken_back(config):
    with library_of(config) as library:
        order = offered(config, library, NOON).order
        write_order(library.orders, replace(order, attempts=("gone", *order.attempts)))
    done = job(config)
    assert not done.resumed
    with library_of(config) as library:
        assert "gone" not in library.adapters.lineage("distilled-1").episodes


def test_an_order_reads_back_as_it_was_written(config):
    with library_of(config) as library:
        order = offered(config, library, NOON).order
        write_order(library.orders, order)
        assert list(ordered(library.orders)) == [order]
        assert Order.from_json(order.to_json()) == order


def test_an_order_with_a_setting_that_is_gone_is_refused_in_one_line(config):
    with library_of(config) as library:
        order = offered(config, library, NOON).order
        settings = json.dumps(json.loads(order.settings) | {"sorcery": 3})
        with pytest.raises(StaleOrderError) as refused:
            distil(config, replace(order, settings=settings), library, clock=time.monotonic)
    said = str(refused.value)
    assert said.startswith("order 'distilled-1' was begun with settings of another version: 'sorce")
    assert said.endswith(f"delete {str(library.orders / 'distilled-1.json')!r}")
    assert "\n" not in said


def test_budgets_of_tokens_and_money_end_a_job_early(home, tmp_path, model):
    whole = job(settings_of(shutil.copytree(home, tmp_path / "whole"), model)).report
    some = job(settings_of(shutil.copytree(home, tmp_path / "some"), model, tokens=500)).report
    assert (some.spent, some.steps, some.kept) == ("tokens", 1, True)
    assert whole.steps > 1
    poor = settings_of(shutil.copytree(home, tmp_path / "poor"), model, money=1e-9, per_hour=3600.0)
    report = job(poor, lambda _: time.sleep(0.01)).report
    assert (report.spent, report.steps, report.kept) == ("time", 0, False)
    with library_of(poor) as library:
        assert library.adapters.names() == ()


def test_a_cold_start_imitates_walkthroughs_and_is_quiet_the_second_time(config):
    cold = changed(config, preset="cold-start", demonstrations=4, passes=2)
    report = job(cold).report
    assert (report.attempts, report.walkthroughs, report.samples) == (0, 4, 8)
    Adapters(config.home / "adapters").promote("distilled-1")
    assert job(cold).report is None
    more = changed(config, preset="cold-start", demonstrations=5, passes=1)
    assert job(more).report.parent == "distilled-1"


def test_demonstrations_of_the_bank_come_before_walkthroughs(config):
    with library_of(config) as library:
        task = library.environment.tasks(Split.TRAIN)[3]
        episode = library.store.rows(limit=1)[0].id
        source = replace(a_source(), episodes=(episode,))
        moves = [Move(observation="", action=a) for a in library.environment.gold(task)]
        shown = a_demonstration(
            environment="workshop", kind=task.kind, task=task.id, moves=tuple(moves), source=source
        )
        kept = library.bank.add(shown)
        library.bank.add(replace(shown, replayed=False))
        tasks = library.environment.tasks(Split.TRAIN)
        assert shown_tasks(library, 2, tasks) == Shown((kept.id,), (tasks[0].id,))
        cold = changed(config, preset="cold-start", demonstrations=1)
        order = offered(cold, library, NOON).order
        told = lessons(cold.distill, order, library)
        assert {plan.episodes for plan in told.shown.values()} == {(episode,)}
        library.bank.set_standing(kept.id, Standing.RETIRED, "wrong", NOON)
        assert shown_tasks(library, 1, tasks).demonstrations == ()


def test_no_task_is_walked_through_on_which_memories_are_proved(config):
    memory = Memory(recall="worth", admission="proof", set_aside=0.5)
    cold = changed(config, preset="cold-start", demonstrations=100)
    with library_of(config) as library:
        tasks = {task.id for task in library.environment.tasks(Split.TRAIN)}
        aside = {task.id for task in set_aside(library.environment.tasks(Split.TRAIN), 0.5)}
        order = offered(cold.model_copy(update={"memory": memory}), library, NOON).order
        assert 0 < len(aside) < len(tasks)
        assert set(order.walkthroughs) == tasks - aside


def test_tasks_are_mastered_that_were_solved_at_every_one_of_several_tries(config):
    with library_of(config) as library:
        acting = learner(config)
        assert mastered(library, acting, 4) == ()
        solved = next(e for e in library.store.episodes() if e.solved)
        for task, many in (("a", 1), ("b", 2), ("c", 3)):
            for n in range(many):
                own = replace(solved.task, id=task)
                library.store.add(replace(solved, id=f"{task}{n}", task=own))
        assert mastered(library, acting, 4) == ("c", "b")
        lost = replace(solved, id="c9", task=replace(solved.task, id="c"), ending=Ending.FAILED)
        library.store.add(lost)
        assert mastered(library, acting, 4) == ("b",)


def test_a_fall_of_the_canaries_keeps_no_adapter(config, monkeypatch):
    tasks = ("workshop/train/chisel-cellar", "workshop/train/chisel-hall")
    scores = iter([1.0, 0.0])
    monkeypatch.setattr("apprentice.distilling.distilling.canary", lambda *_: lambda: next(scores))
    with library_of(config) as library:
        order = replace(offered(config, library, NOON).order, canaries=tasks)
        report = distil(config, order, library, clock=time.monotonic)
        assert (report.kept, report.alarm) == (False, "the canaries fell from 1.00 to 0.00")
        assert library.adapters.names() == ()
        assert read_report(library.adapters, order.name) == report


def test_canaries_are_played_with_the_weights_as_they_are(config):
    tasks = tuple(f"workshop/train/{tool}-hall" for tool in ("chisel", "plane", "saw"))
    with library_of(config) as library:
        acting = learner(config)
        order = replace(offered(config, library, NOON).order, canaries=tasks)
        training, tokenizer = open_training(config, acting)
        look = canary(config, order, library, training, tokenizer)
        assert look() == look() < 1.0
        teach = changed(config, preset="cold-start", demonstrations=9, passes=40, rate=3e-3)
        cold = replace(
            order, preset="cold-start", walkthroughs=tasks, settings=teach.distill.model_dump_json()
        )
        from apprentice.distilling.distilling import open_encoder
        from distill.objectives.presets import PRESETS
        from distill.training.study import study

        study(
            training,
            open_encoder(config, library.environment, acting),
            lessons(teach.distill, cold, library).steps,
            PRESETS["cold-start"],
            clock=time.monotonic,
        )
        assert look() == 1.0
