"""From a run to the library: what was solved becomes demonstrations and skills, provably."""

import json
from dataclasses import replace

from agent.scripted import Scripted
from apprentice.build import make_bank, make_rig, make_store
from apprentice.commands.absorb import absorb_episodes
from apprentice.commands.run import new_run, practise
from apprentice.runs.runs import plan
from apprentice.settings.config import load
from environments.episode import Split
from environments.transcript import Origin
from memory.knowledge.items import Demonstration, Skill, Standing

EPISODES = 12


def _solved(config, episodes=EPISODES):
    """Make a run in which every task is solved, after a detour that mattered nothing."""
    run = new_run(config, Split.TRAIN, episodes)
    with make_rig(config) as rig:
        world = rig.environment
        tasks = {each.id: each.task for each in plan(run, world.tasks(run.split))}

        def script(turn):
            written = sum(message.origin is Origin.POLICY for message in turn.messages)
            detour = ("inventory", "look")
            return (*detour, *world.gold(tasks[turn.episode]))[written]

        practise(config, run, replace(rig, policy=Scripted(script)), fresh=True)
    return run


def test_what_was_solved_becomes_pruned_demonstrations_and_skills(tmp_path, capsys):
    kinds = ["pick_and_place_simple", "look_at_obj_in_light"]
    config = load(
        {
            "home": tmp_path / "home",
            "policy": {"use": "random"},
            "environment": {"settings": {"kinds": kinds, "max_receptacles": 6}},
            "memory": {"recall": "off"},
        }
    )
    run = _solved(config)
    absorb_episodes(load({"home": tmp_path / "home"}), run.id, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["episodes"] == EPISODES
    with make_bank(config) as bank:
        items = bank.items()
    demonstrations = [item for item in items if isinstance(item, Demonstration)]
    assert demonstrations
    assert all(each.replayed for each in demonstrations)
    assert not {"inventory", "look"} & {
        move.action for each in demonstrations for move in each.moves
    }
    assert any(isinstance(item, Skill) for item in items)
    assert {item.standing for item in items} == {Standing.CANDIDATE}

    absorb_episodes(load({"home": tmp_path / "home"}), run.id, as_json=True)
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["skipped"] == {"absorbed before": EPISODES}
    assert again["items"] == {}
    with make_bank(config) as bank:
        assert bank.items() == items  # not even a new version


def test_without_admission_all_that_rests_on_the_episodes_is_used_also_what_was_stored_before(
    tmp_path,
):
    """As after a kill between storing a memory and using it."""
    told = {
        "home": tmp_path,
        "policy": {"use": "random"},
        "environment": {"settings": {"kinds": ["pick_and_place_simple"], "max_receptacles": 4}},
        "memory": {"recall": "off", "admission": "review"},
    }
    config = load(told)
    run = _solved(config)
    absorb_episodes(config, run.id, as_json=True)
    with make_bank(config) as bank:
        assert {item.standing for item in bank.items()} == {Standing.CANDIDATE}
    told["memory"] = {"recall": "off", "admission": "off"}
    absorb_episodes(load(told), run.id, recorded=False, as_json=True)
    with make_bank(config) as bank:
        assert {item.standing for item in bank.items()} == {Standing.ACTIVE}


def test_each_episode_is_absorbed_in_the_world_that_was_written_down_with_it(tmp_path, capsys):
    rooms = {"kinds": ["pick_and_place_simple"], "max_receptacles": 4}
    world = {"environment": {"settings": rooms}, "memory": {"recall": "off"}}
    config = load({"home": tmp_path, "policy": {"use": "random"}, **world})
    _solved(config, 2)
    with make_store(config) as store:
        lived = next(iter(store.episodes()))
        for name in ("mine", "harbor"):  # one that nobody knows, and one that needs its games
            task = replace(lived.task, environment=name)
            store.add(replace(lived, id=name, run="", task=task))
    absorb_episodes(load({"home": tmp_path}), None, as_json=True)
    said = capsys.readouterr()
    told = json.loads(said.out.splitlines()[-1])
    assert told["episodes"] == 4
    ((reason, many),) = told["skipped"].items()
    assert (reason.startswith("setting 'games' of harbor is None"), many) == (True, 1)
    assert "no environment 'mine' is known here" in said.err
    with make_bank(config) as bank:
        made = {(each.environment, each.replayed) for each in bank.items(type=Demonstration)}
    assert made == {("household", True), ("mine", False)}


def test_without_an_episode_it_is_said_how_to_have_some(tmp_path, capsys):
    absorb_episodes(load({"home": tmp_path / "home"}), None, as_json=False)
    told = capsys.readouterr().out
    assert "practise some first: apprentice run" in told
    assert "look at them" not in told
