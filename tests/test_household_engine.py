import pytest

from small_house import small_house, walk


def test_a_game_opens_in_the_middle_of_the_room_with_everything_numbered_from_the_top():
    house = small_house()
    assert house.opening == (
        "You are in the middle of a room. Looking quickly around you, you see a cabinet 2, "
        "a cabinet 1, a countertop 1, a desk 1, a fridge 1, a microwave 1, and a sinkbasin 1."
    )
    assert sorted(house.moves(house.start)) == [
        "go to cabinet 1",
        "go to cabinet 2",
        "go to countertop 1",
        "go to desk 1",
        "go to fridge 1",
        "go to microwave 1",
        "go to sinkbasin 1",
        "help",
        "inventory",
        "look",
    ]


def test_arriving_shows_what_lies_there_in_the_order_of_identifiers():
    _, text = walk(small_house(), "go to countertop 1")
    assert text == (
        "You arrive at countertop 1. On the countertop 1, you see a apple 2, a egg 1, "
        "a knife 1, and a spoon 1."
    )


def test_a_closed_door_hides_what_is_inside_until_it_is_opened():
    house = small_house()
    state, text = walk(house, "go to fridge 1")
    assert text == "You arrive at fridge 1. The fridge 1 is closed."
    assert "take apple 1 from fridge 1" not in house.moves(state)

    state, text = walk(house, "open fridge 1", state=state)
    assert text == "You open the fridge 1. The fridge 1 is open. In it, you see a apple 1."
    assert {"take apple 1 from fridge 1", "close fridge 1"} <= set(house.moves(state))
    assert "open fridge 1" not in house.moves(state)

    state, text = walk(house, "close fridge 1", state=state)
    assert text == "You close the fridge 1."
    assert walk(house, "examine fridge 1", state=state)[1] == "The fridge 1 is closed."


def test_receptacles_in_one_spot_are_faced_and_used_together():
    house = small_house()
    state, _ = walk(house, "go to cabinet 2")
    _, text = walk(house, "look", state=state)
    assert text == "You are facing the cabinet 2, and cabinet 1. Next to it, you see nothing."
    assert {"open cabinet 1", "open cabinet 2"} <= set(house.moves(state))
    assert not {"go to cabinet 1", "go to cabinet 2"} & set(house.moves(state))


def test_the_hand_holds_one_thing():
    house = small_house()
    state, text = walk(house, "go to countertop 1", "take apple 2 from countertop 1")
    assert text == "You pick up the apple 2 from the countertop 1."
    assert walk(house, "inventory", state=state)[1] == "You are carrying: a apple 2."
    assert not [action for action in house.moves(state) if action.startswith("take")]

    state, text = walk(house, "go to desk 1", "move apple 2 to desk 1", state=state)
    assert text == "You move the apple 2 to the desk 1."
    assert walk(house, "inventory", state=state)[1] == "You are not carrying anything."


def test_a_thing_goes_only_where_its_class_fits():
    house = small_house()
    state, _ = walk(house, "go to countertop 1", "take egg 1 from countertop 1", "go to desk 1")
    assert not [action for action in house.moves(state) if action.startswith("move")]


def test_a_thing_in_two_receptacles_leaves_only_the_one_it_is_taken_from():
    house = small_house()
    _, text = walk(
        house,
        "go to countertop 1",
        "take egg 1 from countertop 1",
        "examine countertop 1",
        "go to cabinet 2",
        "open cabinet 2",
    )
    assert text == "You open the cabinet 2. The cabinet 2 is open. In it, you see a egg 1."


def test_only_what_is_held_can_be_examined():
    house = small_house()
    state, _ = walk(house, "go to countertop 1")
    assert "examine apple 2" not in house.moves(state)
    state, _ = walk(house, "take apple 2 from countertop 1", state=state)
    _, text = walk(house, "examine apple 2", state=state)
    assert text == "There's nothing special about apple 2."


def test_what_lay_in_a_vessel_is_shown_in_it_for_ever():
    _, text = walk(small_house(), "go to cabinet 1", "open cabinet 1", "take mug 1 from cabinet 1")
    assert text == "You pick up the mug 1 from the cabinet 1."
    house = small_house()
    state, _ = walk(house, "go to countertop 1", "take spoon 1 from countertop 1")
    held = walk(house, "go to cabinet 1", state=state)[0]
    assert "examine spoon 1" in house.moves(held)
    _, text = walk(
        house,
        "go to cabinet 1",
        "open cabinet 1",
        "take mug 1 from cabinet 1",
        "examine mug 1",
    )
    assert text == "This is a normal mug 1. In it, you see a spoon 1."


IN_HAND = ("go to countertop 1", "take apple 2 from countertop 1")
HEAT = ("go to microwave 1", "heat apple 2 with microwave 1")
COOL = ("go to fridge 1", "cool apple 2 with fridge 1")
CLEAN = ("go to sinkbasin 1", "clean apple 2 with sinkbasin 1")


@pytest.mark.parametrize(
    ("actions", "condition"),
    [
        (HEAT, "This is a hot apple 2."),
        (COOL, "This is a cold apple 2."),
        (CLEAN, "This is a clean apple 2."),
        ((*HEAT, *COOL), "This is a cold apple 2."),
        ((*COOL, *HEAT), "This is a hot apple 2."),
        ((*HEAT, *CLEAN), "This is a hot and clean apple 2."),
        ((*CLEAN, *COOL), "This is a cool and clean apple 2."),
    ],
)
def test_heat_undoes_cool_and_cool_undoes_heat_but_clean_stays(actions, condition):
    assert walk(small_house(), *IN_HAND, *actions, "examine apple 2")[1] == condition


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        (HEAT, "You heat the apple 2 using the microwave 1."),
        (COOL, "You cool the apple 2 using the fridge 1."),
        (CLEAN, "You clean the apple 2 using the sinkbasin 1."),
    ],
)
def test_an_appliance_works_with_its_door_closed(actions, text):
    assert walk(small_house(), *IN_HAND, *actions)[1] == text


def test_a_knife_slices_what_stands_here_and_stays_in_the_hand():
    house = small_house()
    state, text = walk(
        house, "go to countertop 1", "take knife 1 from countertop 1", "slice apple 2 with knife 1"
    )
    assert text == "You sliced the apple 2 with the knife 1."
    assert state.held == "knife_bar_1"
    state, _ = walk(house, "move knife 1 to countertop 1", *IN_HAND[1:], state=state)
    assert walk(house, "examine apple 2", state=state)[1] == "This is a sliced apple 2."
    _, text = walk(house, *CLEAN, *HEAT, "examine apple 2", state=state)
    assert text == "This is a hot and clean sliced apple 2."


def test_a_knife_reaches_through_a_closed_door_but_not_what_was_carried_away():
    house = small_house()
    state, _ = walk(house, *IN_HAND, "go to desk 1", "move apple 2 to desk 1")
    state, _ = walk(house, "go to countertop 1", "take knife 1 from countertop 1", state=state)
    assert not [action for action in house.moves(state) if action.startswith("slice")]
    state, _ = walk(house, "go to desk 1", state=state)
    assert "slice apple 2 with knife 1" in house.moves(state)
    state, _ = walk(house, "go to fridge 1", state=state)
    assert "slice apple 1 with knife 1" in house.moves(state)


def test_a_lamp_used_again_is_turned_on_again():
    house = small_house()
    state, text = walk(house, "go to desk 1", "use desklamp 1")
    assert text == "You turn on the desklamp 1."
    assert walk(house, "use desklamp 1", state=state) == (state, text)


def test_next_to_a_spot_is_what_was_moved_within_it_once_for_each_place_it_left():
    house = small_house()
    state, _ = walk(house, "go to cabinet 2", "open cabinet 2", "open cabinet 1")
    there = ("take egg 1 from cabinet 2", "move egg 1 to cabinet 1")
    back = ("take egg 1 from cabinet 1", "move egg 1 to cabinet 2")
    for actions, seen in (
        ((), "nothing"),
        (there[:1], "nothing"),  # what is held is not there
        (there, "a egg 1"),
        ((*there, *back), "a egg 1"),
        ((*there, *back, *there[:1], "go to countertop 1"), "nothing"),
        ((*there, "go to desk 1", "go to cabinet 1"), "a egg 1"),
    ):
        _, text = walk(house, *actions, "look", state=state)
        assert text.endswith(f"Next to it, you see {seen}.")


def test_looking_from_the_middle_shows_nothing_though_the_opening_showed_everything():
    _, text = walk(small_house(), "look")
    assert text == ("You are in the middle of a room. Looking quickly around you, you see nothing.")


def test_looking_changes_nothing():
    house = small_house()
    state, _ = walk(house, "go to desk 1")
    for action in ("look", "inventory", "help", "examine desk 1"):
        assert walk(house, action, state=state)[0] is state
    assert walk(house, "help", state=state)[1].startswith("Available commands:\n  look:  ")


def test_what_is_cool_at_the_start_is_cold_when_examined():
    house = small_house(more="(isCool Apple_bar_2)")
    state, _ = walk(house, "go to fridge 1", "open fridge 1", "take apple 1 from fridge 1")
    assert walk(house, "examine apple 1", state=state)[1] == "This is a cold apple 1."


def test_names_count_every_declared_thing_even_one_that_is_nowhere():
    house = small_house()
    assert house.names["chair_bar_1"] == "chair 1"
