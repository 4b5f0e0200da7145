import re
from collections import Counter, defaultdict

import pytest

from environments.episode import Split
from environments.errors import UnknownNameError
from environments.household.engine import House
from environments.household.games import KINDS
from environments.household.generator import (
    GeneratedGames,
    Seed,
    SettingsError,
    game_of,
    seed_of,
    split_of,
    task_of,
)
from environments.household.household import Household

SEEDS = [
    Seed(split=split, kind=KINDS[number % 6], number=number)
    for split, count in ((Split.TRAIN, 500), (Split.DEV, 250), (Split.TEST, 250))
    for number in range(count)
]

EASY = {"max_receptacles": 6, "max_objects": 8}


@pytest.fixture(scope="module")
def games():
    return {seed: game_of(seed) for seed in SEEDS}


def furniture(problem):
    """Return the classes of a room's receptacles, however they are named and ordered."""
    return tuple(sorted(kind for _, kind in problem.facts["receptacletype"]))


def test_a_thousand_games_are_won_by_their_gold_and_none_is_solved_before(games):
    for seed, game in games.items():
        house = House(game.problem)
        state, solved = house.start, [house.solved(house.start)]
        for action in game.gold:
            moves = house.moves(state)
            assert action in moves, (seed.id, action)
            state, _ = house.apply(state, moves[action])
            solved.append(house.solved(state))
        assert solved == [False] * len(game.gold) + [True], seed.id


def test_no_room_and_no_game_is_in_two_splits(games):
    rooms, problems = defaultdict(set), defaultdict(set)
    for seed, game in games.items():
        rooms[furniture(game.problem)].add(seed.split)
        problems[str(game.problem)].add(seed.split)
    assert max(map(len, rooms.values())) == 1
    assert max(map(len, problems.values())) == 1
    assert Counter(split for splits in rooms.values() for split in splits).keys() == set(Split)


def test_even_in_the_smallest_rooms_no_room_is_in_two_splits():
    owners = defaultdict(set)
    for split in Split:
        for kind in KINDS:
            for number in range(40):
                sizes = {"max_receptacles": 4, "max_objects": 2}
                game = game_of(Seed(split=split, kind=kind, number=number, **sizes))
                owners[furniture(game.problem)].add(split)
    assert max(map(len, owners.values())) == 1


def test_a_room_belongs_to_its_split_in_whatever_order_it_is_named():
    assert split_of(["bed", "desk", "drawer"]) is split_of(["drawer", "bed", "desk"])


def test_no_two_games_are_the_same(games):
    assert len({str(game.problem) for game in games.values()}) == len(games)


def test_the_easy_settings_bound_the_room_and_the_kind():
    world = Household.generated(kinds=("pick_and_place_simple",), train=50, **EASY)
    for task in world.tasks(Split.TRAIN):
        start = world.start(task).observation.admissible
        assert task.kind == "pick_and_place_simple"
        assert sum(action.startswith("go to ") for action in start) <= 6
        assert len(game_of(seed_of(task.id)).problem.of_type("object")) <= 8


@pytest.mark.parametrize("kind", KINDS)
def test_gold_is_short(games, kind):
    lengths = [len(game.gold) for seed, game in games.items() if seed.kind == kind]
    longest = {"look_at_obj_in_light": 5, "pick_two_obj_and_place": 11}
    assert min(lengths) >= 3
    assert max(lengths) <= longest.get(kind, 8)


SENTENCES = {
    "pick_and_place_simple": r"put (a \w+ in|some \w+ on) \w+\.",
    "look_at_obj_in_light": r"(look at \w+ under|examine the \w+ with) the desklamp\.",
    "pick_clean_then_place_in_recep": r"(put a clean \w+ in|clean some \w+ and put it in) \w+\.",
    "pick_heat_then_place_in_recep": r"(put a hot \w+ in|heat some \w+ and put it in) \w+\.",
    "pick_cool_then_place_in_recep": r"(put a cool \w+ in|cool some \w+ and put it in) \w+\.",
    "pick_two_obj_and_place": r"(put two \w+ in|find two \w+ and put them in) \w+\.",
}


@pytest.mark.parametrize("kind", KINDS)
def test_goals_are_worded_as_in_alfworld_in_both_ways(kind):
    goals = [
        task_of(Seed(split=Split.TRAIN, kind=kind, number=number)).goal for number in range(60)
    ]
    ways = Counter(re.fullmatch(SENTENCES[kind], goal)[1].split()[0] for goal in goals)
    assert len(ways) == 2 or kind == "pick_and_place_simple"
    assert len(set(goals)) > 20


def test_the_same_seed_gives_the_same_game_and_another_seed_another():
    seed = SEEDS[7]
    assert (task_of(seed), game_of(seed)) == (task_of(seed), game_of(seed))
    assert game_of(seed) != game_of(SEEDS[13])


def test_a_game_of_this_release_stays_as_it_is():
    """Episodes are kept by id: what an id spells must never change."""
    seed = Seed(split=Split.TRAIN, kind=KINDS[3], number=3, **EASY)
    assert task_of(seed).goal == "put a hot bread in sidetable."
    assert game_of(seed).gold == (
        "go to microwave 1",
        "open microwave 1",
        "take bread 2 from microwave 1",
        "heat bread 2 with microwave 1",
        "go to sidetable 1",
        "move bread 2 to sidetable 1",
    )


def test_an_id_spells_its_game_without_any_listing():
    world = Household.generated(train=3, dev=0, test=0, **EASY)
    other = Household.generated(kinds=KINDS[:1], train=1)
    for task in world.tasks(Split.TRAIN):
        assert other.task(task.id) == task
        assert other.gold(task) == world.gold(task)
        assert seed_of(task.id).id == task.id


@pytest.mark.parametrize(
    "id",
    [
        "",
        "generated/train/pick_heat_then_place_in_recep/6x8",
        "generated/exam/pick_heat_then_place_in_recep/6x8/1",
        "generated/train/pick_up/6x8/1",
        "generated/train/pick_heat_then_place_in_recep/3x8/1",
        "generated/train/pick_heat_then_place_in_recep/6x8/-1",
        "generated/train/pick_heat_then_place_in_recep/06x8/1",
        "generated/train/pick_heat_then_place_in_recep/6x0/1",
    ],
)
def test_an_id_that_spells_no_game_is_unknown(id):
    with pytest.raises(UnknownNameError, match="no generated game"):
        Household.generated().task(id)


@pytest.mark.parametrize("sizes", [{"max_receptacles": 3}, {"max_objects": 0}])
def test_a_house_too_small_is_refused_in_one_line(sizes):
    with pytest.raises(SettingsError, match="too small; set at least 4 and 1"):
        GeneratedGames({}, **sizes)
