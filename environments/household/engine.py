"""The rules of a household: which actions there are, what they change, and what is seen.

Exactly ALFWorld's (arXiv:2010.03768), domain and words of its release 0.4.2, oddities included; no
planner and no grammar engine, which is why it is hundreds of times as fast and safe in threads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import NamedTuple

from environments.household.goal import compile_goal
from environments.household.problem import Problem
from environments.household.state import State
from environments.household.words import (
    CONDITIONS,
    FACING,
    HELP,
    MIDDLE,
    display_names,
    joined,
    listed,
)

CLEANER, HEATER, COOLER = "sinkbasintype", "microwavetype", "fridgetype"
KNIVES = frozenset({"knifetype", "butterknifetype"})


class Verb(Enum):
    LOOK = auto()
    INVENTORY = auto()
    HELP = auto()
    GO = auto()
    OPEN = auto()
    CLOSE = auto()
    EXAMINE_PLACE = auto()
    EXAMINE_THING = auto()
    TAKE = auto()
    PUT = auto()
    USE = auto()
    CLEAN = auto()
    HEAT = auto()
    COOL = auto()
    SLICE = auto()


class Move(NamedTuple):
    """An action understood: a verb and the identifiers it is about."""

    verb: Verb
    thing: str = ""
    place: str = ""


ALWAYS: Mapping[str, Move] = {
    "help": Move(Verb.HELP),
    "inventory": Move(Verb.INVENTORY),
    "look": Move(Verb.LOOK),
}

Rule = Callable[[State, Move], tuple[State, str]]


class House:
    """Everything about one game that does not change; shared freely between plays and threads."""

    def __init__(self, problem: Problem) -> None:
        self.names = display_names((*problem.of_type("receptacle"), *problem.of_type("object")))
        self.solved = compile_goal(problem)
        self._read_facts(problem)
        self._lay_out(problem)
        self.start = self._first_state(problem)
        self._rules: Mapping[Verb, Rule] = {
            Verb.LOOK: self._look,
            Verb.INVENTORY: self._inventory,
            Verb.HELP: self._help,
            Verb.GO: self._go,
            Verb.OPEN: self._open,
            Verb.CLOSE: self._close,
            Verb.EXAMINE_PLACE: self._examine_place,
            Verb.EXAMINE_THING: self._examine_thing,
            Verb.TAKE: self._take,
            Verb.PUT: self._put,
            Verb.USE: self._use,
            Verb.CLEAN: self._clean,
            Verb.HEAT: self._heat,
            Verb.COOL: self._cool,
            Verb.SLICE: self._slice,
        }

    def _read_facts(self, problem: Problem) -> None:
        self._openable = problem.unary("openable")
        self._pickupable = problem.unary("pickupable")
        self._toggleable = problem.unary("toggleable")
        self._sliceable = problem.unary("sliceable")
        self._vessels = problem.unary("isreceptacleobject")
        self._kind = problem.binary("objecttype")
        self._place_kind = problem.binary("receptacletype")
        self._fits = frozenset(problem.facts.get("cancontain", ()))
        self._treatments = (
            (problem.unary("cleanable"), CLEANER, Verb.CLEAN, "clean"),
            (problem.unary("heatable"), HEATER, Verb.HEAT, "heat"),
            (problem.unary("coolable"), COOLER, Verb.COOL, "cool"),
        )
        inner: dict[str, list[str]] = {}
        for thing, vessel in sorted(problem.facts.get("inreceptacleobject", ())):
            inner.setdefault(vessel, []).append(self.names[thing])
        self._inner = {vessel: listed(names) for vessel, names in inner.items()}

    def _lay_out(self, problem: Problem) -> None:
        """Keep which receptacles stand at each location, and the ways to all of them."""
        where = problem.binary("receptacleatlocation")
        self._places = tuple(sorted(where))
        self._here: dict[str, tuple[str, ...]] = {}
        for place in self._places:
            self._here[where[place]] = (*self._here.get(where[place], ()), place)
        self._ways = {place: f"go to {self.names[place]}" for place in self._places}
        self._from_nowhere: Mapping[str, Move] = {
            **ALWAYS,
            **{way: Move(Verb.GO, where[place], place) for place, way in self._ways.items()},
        }
        self.opening = MIDDLE.format(seen=listed([self.names[place] for place in self._places]))

    def _first_state(self, problem: Problem) -> State:
        contents: dict[str, set[str]] = {place: set() for place in self._places}
        for thing, place in problem.facts.get("inreceptacle", ()):
            contents[place].add(thing)
        standing = problem.facts.get("objectatlocation", ())
        return State(
            location=problem.facts["atlocation"][0][1],
            held=next((fact[1] for fact in problem.facts.get("holds", ())), None),
            contents={place: tuple(sorted(things)) for place, things in contents.items()},
            standing=frozenset((thing, location) for thing, location in standing),
            opened=problem.unary("opened"),
            clean=problem.unary("isclean"),
            hot=problem.unary("ishot"),
            cool=problem.unary("iscool"),
            toggled=problem.unary("istoggled"),
            sliced=problem.unary("issliced"),
        )

    def apply(self, state: State, move: Move) -> tuple[State, str]:
        """Return the state after an admissible move, and what is seen then."""
        return self._rules[move.verb](state, move)

    def moves(self, state: State) -> dict[str, Move]:
        """Return every admissible action with its meaning, in no order."""
        names = self.names
        found = dict(self._from_nowhere)
        for place in self._here.get(state.location, ()):
            del found[self._ways[place]]
            found[f"examine {names[place]}"] = Move(Verb.EXAMINE_PLACE, place=place)
            if place in self._openable:
                verb, word = (Verb.CLOSE, "close") if place in state.opened else (Verb.OPEN, "open")
                found[f"{word} {names[place]}"] = Move(verb, place=place)
            for thing in state.contents[place]:
                # A lamp works through a closed door: ALFWorld does not ask whether it is open.
                if thing in self._toggleable:
                    found[f"use {names[thing]}"] = Move(Verb.USE, thing)
            if state.held is None:
                self._add_takes(found, state, place)
            else:
                self._add_uses_of_held(found, state, state.held, place)
        if state.held is not None:
            found[f"examine {names[state.held]}"] = Move(Verb.EXAMINE_THING, state.held)
            if self._kind.get(state.held) in KNIVES:
                self._add_slices(found, state, state.held)
        return found

    def _add_takes(self, found: dict[str, Move], state: State, place: str) -> None:
        if not self._is_open(state, place):
            return
        suffix = f" from {self.names[place]}"
        for thing in state.contents[place]:
            if thing in self._pickupable:
                found[f"take {self.names[thing]}{suffix}"] = Move(Verb.TAKE, thing, place)

    def _add_uses_of_held(
        self, found: dict[str, Move], state: State, held: str, place: str
    ) -> None:
        thing_name, place_name = self.names[held], self.names[place]
        kind = self._place_kind[place]
        if (kind, self._kind[held]) in self._fits and self._is_open(state, place):
            found[f"move {thing_name} to {place_name}"] = Move(Verb.PUT, held, place)
        for able, appliance, verb, word in self._treatments:
            if kind == appliance and held in able:
                found[f"{word} {thing_name} with {place_name}"] = Move(verb, held, place)

    def _add_slices(self, found: dict[str, Move], state: State, knife: str) -> None:
        for thing, location in state.standing:
            if location == state.location and thing in self._sliceable:
                text = f"slice {self.names[thing]} with {self.names[knife]}"
                found[text] = Move(Verb.SLICE, thing, knife)

    def _is_open(self, state: State, place: str) -> bool:
        return place not in self._openable or place in state.opened

    def _inside(self, state: State, place: str) -> str:
        name = self.names[place]
        if not self._is_open(state, place):
            return f"The {name} is closed."
        seen = self._seen(state.contents[place])
        if place in self._openable:
            return f"The {name} is open. In it, you see {seen}."
        return f"On the {name}, you see {seen}."

    def _seen(self, things: Sequence[str]) -> str:
        return listed([self.names[thing] for thing in things])

    def _condition(self, state: State, thing: str) -> str:
        name = self.names[thing]
        if thing in self._vessels:
            # What ALFWorld put into a vessel stays in it for ever, even after it was taken away.
            return f"This is a normal {name}. In it, you see {self._inner.get(thing, 'nothing')}."
        marks = (
            ("clean", state.clean),
            ("hot", state.hot),
            ("cool", state.cool),
            ("sliced", state.sliced),
        )
        shown = CONDITIONS.get(tuple(word for word, things in marks if thing in things))
        return f"This is a {shown} {name}." if shown else f"There's nothing special about {name}."

    def _look(self, state: State, move: Move) -> tuple[State, str]:
        here = self._here.get(state.location)
        if not here:
            # Only the opening tells what is in the room: looking again asks what is in the middle.
            return state, MIDDLE.format(seen="nothing")
        # ALFWorld's "next to it" is what was moved from one receptacle of this spot to another,
        # once for each receptacle that it was taken from.
        beside = sorted(
            thing
            for thing, place in state.taken
            if place in here and (thing, state.location) in state.standing
        )
        places = joined([self.names[place] for place in here])
        return state, FACING.format(places=places, seen=self._seen(beside))

    def _inventory(self, state: State, move: Move) -> tuple[State, str]:
        if state.held is None:
            return state, "You are not carrying anything."
        return state, f"You are carrying: a {self.names[state.held]}."

    def _help(self, state: State, move: Move) -> tuple[State, str]:
        return state, HELP

    def _examine_place(self, state: State, move: Move) -> tuple[State, str]:
        return state, self._inside(state, move.place)

    def _examine_thing(self, state: State, move: Move) -> tuple[State, str]:
        return state, self._condition(state, move.thing)

    def _go(self, state: State, move: Move) -> tuple[State, str]:
        after = replace(state, location=move.thing)
        return after, f"You arrive at {self.names[move.place]}. {self._inside(after, move.place)}"

    def _open(self, state: State, move: Move) -> tuple[State, str]:
        after = replace(state, opened=state.opened | {move.place})
        return after, f"You open the {self.names[move.place]}. {self._inside(after, move.place)}"

    def _close(self, state: State, move: Move) -> tuple[State, str]:
        after = replace(state, opened=state.opened - {move.place})
        return after, f"You close the {self.names[move.place]}."

    def _take(self, state: State, move: Move) -> tuple[State, str]:
        # An object may start in two receptacles at once; it leaves only the one named.
        left = tuple(thing for thing in state.contents[move.place] if thing != move.thing)
        after = replace(
            state,
            held=move.thing,
            contents={**state.contents, move.place: left},
            standing=state.standing - {(move.thing, state.location)},
            taken=state.taken | {(move.thing, move.place)},
        )
        return after, f"You pick up the {self._both(move, 'from')}."

    def _put(self, state: State, move: Move) -> tuple[State, str]:
        inside = tuple(sorted({*state.contents[move.place], move.thing}))
        after = replace(
            state,
            held=None,
            contents={**state.contents, move.place: inside},
            standing=state.standing | {(move.thing, state.location)},
            taken=state.taken - {(move.thing, move.place)},
        )
        return after, f"You move the {self._both(move, 'to')}."

    def _use(self, state: State, move: Move) -> tuple[State, str]:
        # ALFWorld never turns anything off: to use a lamp again turns it on again.
        after = replace(state, toggled=state.toggled | {move.thing})
        return after, f"You turn on the {self.names[move.thing]}."

    def _clean(self, state: State, move: Move) -> tuple[State, str]:
        after = replace(state, clean=state.clean | {move.thing})
        return after, f"You clean the {self._both(move, 'using')}."

    def _heat(self, state: State, move: Move) -> tuple[State, str]:
        changed = {move.thing}
        after = replace(state, hot=state.hot | changed, cool=state.cool - changed)
        return after, f"You heat the {self._both(move, 'using')}."

    def _cool(self, state: State, move: Move) -> tuple[State, str]:
        changed = {move.thing}
        after = replace(state, cool=state.cool | changed, hot=state.hot - changed)
        return after, f"You cool the {self._both(move, 'using')}."

    def _slice(self, state: State, move: Move) -> tuple[State, str]:
        after = replace(state, sliced=state.sliced | {move.thing})
        return after, f"You sliced the {self._both(move, 'with')}."

    def _both(self, move: Move, word: str) -> str:
        return f"{self.names[move.thing]} {word} the {self.names[move.place]}"
