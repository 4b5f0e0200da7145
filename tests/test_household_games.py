import json
import lzma

import pytest

from environments.episode import Ending, Split
from environments.errors import UnknownNameError, UserError
from environments.household.games import KINDS, GamesError
from environments.household.generator import Seed
from environments.household.household import Household
from environments.registry import open_environment
from packing import download, pack, row


def seed(split=Split.TRAIN, kind=KINDS[0], number=1):
    return Seed(split=split, kind=kind, number=number, max_receptacles=6, max_objects=6)


@pytest.fixture(scope="module")
def rows():
    return [row(seed(split, kind)) for split in Split for kind in KINDS]


def solves(world, task):
    play = world.start(task)
    for action in world.gold(task):
        play.step(action)
    return play.observation.ending is Ending.SOLVED


@pytest.mark.parametrize("name", ["games.jsonl", "games.jsonl.xz"])
def test_packed_games_are_found_by_their_path_and_won_by_their_walkthrough(tmp_path, rows, name):
    world = Household.from_games(pack(tmp_path / name, rows))
    for split in Split:
        tasks = world.tasks(split)
        assert [task.kind for task in tasks] == list(KINDS)
        assert all(solves(world, task) for task in tasks)
    task = world.task("valid_seen/look_at_obj_in_light-Thing-None-Place-1/trial_1")
    assert (task.split, task.kind) == (Split.DEV, "look_at_obj_in_light")
    assert task.goal in world.start(task).observation.text


def test_the_official_download_plays_like_the_packed_file(tmp_path, rows):
    packed = Household.from_games(pack(tmp_path / "games.jsonl", rows))
    parent = download(tmp_path / "data", rows)
    for folder in (parent, parent / "json_2.1.1"):
        world = Household.from_games(folder)
        for split in Split:
            assert sorted(task.id for task in world.tasks(split)) == sorted(
                task.id for task in packed.tasks(split)
            )
        for task in packed.tasks(Split.TEST):
            assert world.task(task.id) == task
            assert world.gold(task) == packed.gold(task)
            assert world.start(task).observation == packed.start(task).observation


def test_what_was_validated_on_train_is_train(tmp_path, rows):
    renamed = dict(rows[0], path=rows[0]["path"].replace("/train/", "/valid_train/"))
    world = Household.from_games(pack(tmp_path / "games.jsonl", [rows[0], renamed]))
    assert len(world.tasks(Split.TRAIN)) == 2


def test_only_the_kinds_asked_for_are_listed(tmp_path, rows):
    world = Household.from_games(pack(tmp_path / "games.jsonl", rows), kinds=KINDS[2:4])
    assert {task.kind for task in world.tasks(Split.DEV)} == set(KINDS[2:4])


def test_games_that_the_text_world_leaves_out_are_left_out(tmp_path, rows):
    download(tmp_path, rows[:1])
    download(tmp_path / "b", rows[1:2], solvable=False)
    movable = dict(rows[2], path=rows[2]["path"].replace("-Thing-", "-ThingSliced-"))
    download(tmp_path / "c", [movable])
    assert len(Household.from_games(tmp_path).tasks(Split.TRAIN)) == 1
    for other in ("b", "c"):
        assert Household.from_games(tmp_path / other).tasks(Split.TRAIN) == ()


def lines(*rows):
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def first_half(whole):
    return whole[: len(whole) // 2]


SPOILED = {
    "half.jsonl.xz": (
        lambda rows: first_half(lzma.compress(lines(*rows))),
        "is cut off; copy it again",
    ),
    "text.jsonl.xz": (lambda _: b"no xz at all", "is no xz file"),
    "empty.jsonl": (lambda _: b"", "holds no games"),
    "half.jsonl": (lambda rows: lines(*rows)[:-100], "line 18 is cut off or no JSON; copy"),
    "list.jsonl": (
        lambda _: lines([1, 2]),
        "line 1 lacks path, task, problem, walkthrough; each game needs path",
    ),
    "keys.jsonl": (
        lambda rows: lines(rows[0], {"path": "p", "task": "t"}),
        "line 2 lacks problem, walkthrough",
    ),
    "path.jsonl": (
        lambda rows: lines({**rows[0], "path": "train/x"}),
        "line 1 has path 'train/x'",
    ),
    "type.jsonl": (lambda rows: lines({**rows[0], "problem": 7}), "line 1 lacks problem"),
    "bytes.jsonl": (lambda _: b"\xff\xfe\n", "line 1 is cut off or no JSON"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_broken_games_file_is_refused_in_one_line(tmp_path, rows, name):
    spoil, message = SPOILED[name]
    path = tmp_path / name
    path.write_bytes(spoil(rows))
    with pytest.raises(GamesError, match=message) as refused:
        open_environment("household", games=path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_missing_games_are_told_with_what_to_give(tmp_path):
    with pytest.raises(UserError, match=r"no games at .*nowhere.jsonl; give a .jsonl"):
        open_environment("household", games=tmp_path / "nowhere.jsonl")
    with pytest.raises(UserError, match=r"has none of train, .*; give the folder json_2.1.1"):
        open_environment("household", games=tmp_path)


def test_a_problem_cut_inside_its_text_is_told_with_file_and_task(tmp_path, rows):
    spoiled = dict(rows[0], problem=rows[0]["problem"][:500])
    world = Household.from_games(pack(tmp_path / "games.jsonl", [spoiled]))
    with pytest.raises(GamesError, match=r"games.jsonl, train/.*: not a household problem"):
        world.start(world.tasks(Split.TRAIN)[0])


def test_a_downloaded_game_that_is_damaged_is_told_with_its_file(tmp_path, rows):
    download(tmp_path / "a", rows[:1], grammar="nothing")
    with pytest.raises(GamesError, match="states no task"):
        Household.from_games(tmp_path / "a").tasks(Split.TRAIN)
    download(tmp_path / "b", rows[:1], pddl_problem=[])
    with pytest.raises(GamesError, match=r"game.tw-pddl lacks pddl_problem"):
        Household.from_games(tmp_path / "b").tasks(Split.TRAIN)


@pytest.mark.parametrize("name", ["train/x/y", "../../etc", "train/../..", "nonsense"])
def test_an_unknown_task_is_told_and_no_path_leads_out_of_the_folder(tmp_path, rows, name):
    packed = Household.from_games(pack(tmp_path / "games.jsonl", rows))
    for world in (packed, Household.from_games(download(tmp_path / "data", rows))):
        with pytest.raises(UnknownNameError, match="no game in"):
            world.task(name)


def test_unknown_names_are_told_with_the_known_ones(tmp_path, rows):
    with pytest.raises(UnknownNameError, match="no environment 'texworld'; known: household"):
        open_environment("texworld")
    with pytest.raises(UnknownNameError, match="no task type 'pick_up'; known: pick_and_place"):
        open_environment("household", kinds=("pick_up",))
    with pytest.raises(UnknownNameError, match="no task type ''"):
        open_environment("household", games=pack(tmp_path / "g.jsonl", rows), kinds=())
