"""An expert's plan carried out by somebody who does not know where things are.

A plan that goes straight to what it wants cannot be imitated: nothing in sight tells why there.
Here whoever carries it out looks where such things mostly are, until he sees one. That order can be
learned; a random order cannot, and teaches walking in circles (docs/log.md). He takes in whatever
happens to him, so he can go on after a detour, his own or a policy's.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise

from environments.environment import Environment, Observation
from environments.episode import Ending, Task

THING = re.compile(r"\b[a-z]+ \d+\b")
"""How a world names a thing: its kind and its number."""

NUMBER = re.compile(r" \d+$")

MOST_STEPS = 100
"""Steps after which a searcher gives up."""

DOUBT = 2.0
"""Weight of the general share, in rooms, beside what was counted for one kind of thing."""

STRAIGHT = 2
"""Errands of a thing that is only taken somewhere: up, and down again."""

STRANGE = 0.01
"""Share of the places of a kind in which something is that was never seen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The words of a world for looking around."""

    go: str = "go"  # the verb of an action that leads to a place
    look: tuple[str, ...] = ("open",)  # verbs that show more of a place once there


HOUSEHOLD = Search()


@dataclass(slots=True)
class Whereabouts:
    """In what kinds of places which kinds of things were seen."""

    places: Counter[str] = field(default_factory=Counter[str])  # seen into, by kind
    closed: Counter[str] = field(default_factory=Counter[str])  # of these, that had to be opened
    held: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def worth(self, thing: str, place: str) -> float:
        """Return the chance that such a thing is in such a place, for each action it costs."""
        kind = kind_of(place)
        count = self.places[kind]
        chance = (self.held[kind_of(thing)][kind] + DOUBT * STRANGE) / (count + DOUBT)
        return chance / (2 + (self.closed[kind] / count if count else 0))

    def survey(self, environment: Environment, task: Task, search: Search = HOUSEHOLD) -> None:
        """Look into every place of a task once."""
        play = environment.start(task)
        for way in places_named(play.observation, search):
            if play.observation.ending is not None:
                break
            place, seen = place_of(way), play.step(way)
            for action in openings(seen, place, search):
                self.closed[kind_of(place)] += 1
                seen = play.step(action)
            self.places[kind_of(place)] += 1
            for kind in {kind_of(thing) for thing in THING.findall(seen.text)} - {kind_of(place)}:
                self.held[kind][kind_of(place)] += 1
        play.close()


def surveyed(environment: Environment, tasks: Iterable[Task]) -> Whereabouts:
    """Return what is where in the rooms of some tasks."""
    known = Whereabouts()
    for task in tasks:
        known.survey(environment, task)
    return known


class Searcher:
    """Somebody who carries out a plan about things he still has to find."""

    def __init__(
        self,
        plan: Sequence[str],
        opening: Observation,
        whereabouts: Whereabouts,
        search: Search = HOUSEHOLD,
    ) -> None:
        self._search = search
        self._whereabouts = whereabouts
        self._rest = _errands(plan, search)
        self._places = [place_of(way) for way in places_named(opening, search)]
        self._seen: dict[str, set[str]] = {}  # things, by place, when it was last looked into
        self._mine: set[str] = set()  # things of errands that are done
        self._here = ""

    @property
    def searching(self) -> bool:
        """Return whether he does not know where to go next."""
        return bool(self._rest) and self._target() is None

    def saw(self, action: str, after: Observation) -> None:
        """Take in what an action led to, whoever took it."""
        if self._rest and action == self._rest[0][1]:
            self._mine.add(_thing(action))
            del self._rest[0]
        verb, _, _ = action.partition(" ")
        if verb == self._search.go:
            self._here = place_of(action)
        if self._here and verb in (self._search.go, *self._search.look):
            if not openings(after, self._here, self._search):
                self._seen[self._here] = set(THING.findall(after.text)) - {self._here}
        elif self._here in self._seen:
            self._seen[self._here].discard(_thing(action))

    def next(self, now: Observation) -> str | None:
        """Return what he does next; None: there is nowhere left to look."""
        if not self._rest:
            return None
        if self._rest[0][1] in now.admissible:
            return self._rest[0][1]
        found = self._like(now.admissible)
        if found is not None:
            self._settle_for(found)
            return found
        target = self._target()
        open_here = openings(now, self._here, self._search) if self._here else ()
        if open_here and target in (None, self._here):
            return open_here[0]
        if target is None or target == self._here:
            target = self._likeliest(now.admissible)
        return target and self._way(target)

    def _way(self, place: str) -> str:
        return f"{self._search.go} to {place}"

    def _target(self) -> str | None:
        """Return where the next errand takes him; None: he has to look for its thing."""
        place, action = self._rest[0]
        thing = _thing(action)
        if thing in self._mine or not THING.match(thing) or thing in self._places:
            return place
        alike = (
            at
            for at, things in self._seen.items()
            if at != self._delivered_to and self._wanted(things, kind_of(thing))
        )
        return next(alike, None)

    @property
    def _delivered_to(self) -> str:
        """Return where a found thing is taken straight away; what is there already stays there."""
        thing = _thing(self._rest[0][1])
        stations = [place for place, action in self._rest if _thing(action) == thing]
        return stations[-1] if len(stations) == STRAIGHT else ""

    def _wanted(self, things: Iterable[str], kind: str) -> bool:
        return any(kind_of(each) == kind and each not in self._mine for each in things)

    def _like(self, admissible: Sequence[str]) -> str | None:
        """Return an action now possible that does the same to another thing of the kind."""
        action = self._rest[0][1]
        if _thing(action) in self._mine or self._here == self._delivered_to:
            return None
        alike = action.split()[:2]
        return next(
            (a for a in admissible if a.split()[:2] == alike and _thing(a) not in self._mine), None
        )

    def _settle_for(self, action: str) -> None:
        """Exchange the thing of the plan for the one that was found, in all that is left to do."""
        wanted, found = _thing(self._rest[0][1]), _thing(action)
        names = {wanted: found, found: wanted}
        rest = (
            (place, THING.sub(lambda match: names.get(match[0], match[0]), each))
            for place, each in self._rest[1:]
        )
        self._rest = [(self._here, action), *rest]

    def _likeliest(self, admissible: Sequence[str]) -> str | None:
        thing, avoided = _thing(self._rest[0][1]), kind_of(self._delivered_to)
        possible = set(admissible)  # not to where one stands, or what is in reach from there
        unseen = [p for p in self._places if p not in self._seen and self._way(p) in possible]

        def rank(place: str) -> tuple[bool, float, str, int]:
            worth = self._whereabouts.worth(thing, place)
            return kind_of(place) == avoided, -worth, kind_of(place), _number(place)

        return min(unseen, key=rank, default=None)


def practicable(
    environment: Environment, task: Task, plan: Sequence[str], whereabouts: Whereabouts
) -> tuple[str, ...] | None:
    """Return the plan as a searcher can best carry it out; None: he cannot, nor as it is.

    Of what comes to the same it does what is easiest to learn: each way leads to the very place
    that is acted on there, and of places of one kind the first is used.
    """
    tidy = _to_the_point(plan)
    with closing(environment.start(task)) as play:
        first = _first_of_kind(tidy, play.observation)
    return next(
        (p for p in (first, tidy, tuple(plan)) if _works(environment, task, p, whereabouts)), None
    )


def _works(
    environment: Environment, task: Task, plan: Sequence[str], whereabouts: Whereabouts
) -> bool:
    """Return whether a searcher solves the task with the plan."""
    with closing(environment.start(task)) as play:
        searcher = Searcher(plan, play.observation, whereabouts)
        for _ in range(MOST_STEPS):
            action = searcher.next(play.observation)
            if action is None or action not in play.observation.admissible:
                return False
            searcher.saw(action, play.step(action))
            if play.observation.ending is not None:
                break
        return play.observation.ending is Ending.SOLVED


def _to_the_point(plan: Sequence[str]) -> tuple[str, ...]:
    """Return the plan with each way leading to what is acted on next.

    Several places can be in reach from one spot, and a planner goes to whichever it thought of.
    """
    tidy = list(plan)
    for at, (action, after) in enumerate(pairwise(plan)):
        things = THING.findall(after)
        if action.startswith(HOUSEHOLD.go) and things:
            tidy[at] = action.replace(place_of(action), things[-1])
    return tuple(tidy)


def _first_of_kind(plan: Sequence[str], opening: Observation) -> tuple[str, ...]:
    """Return the plan with the first place of its kind wherever nothing is fetched from it."""
    ways = places_named(opening)
    places = {place for place in map(place_of, ways) if THING.fullmatch(place)}
    fetched = {action.rpartition(" from ")[2] for action in plan if " from " in action}
    first = {
        place: min((p for p in places if kind_of(p) == kind_of(place)), key=_number)
        for place in places - fetched
    }
    return tuple(THING.sub(lambda match: first.get(match[0], match[0]), each) for each in plan)


def places_named(opening: Observation, search: Search = HOUSEHOLD) -> list[str]:
    """Return the ways to all places, in the order in which the places were named."""
    ways = [a for a in opening.admissible if a.partition(" ")[0] == search.go]
    named = {match[0]: match.start() for match in reversed(list(THING.finditer(opening.text)))}
    return sorted(ways, key=lambda way: named.get(place_of(way), len(opening.text)))


def place_of(way: str) -> str:
    """Return where an action leads.

    >>> place_of("go to drawer 2")
    'drawer 2'
    """
    return way.partition(" ")[2].removeprefix("to ")


def kind_of(thing: str) -> str:
    """Return a name without its number, if it has one.

    >>> kind_of("drawer 2"), kind_of("attic")
    ('drawer', 'attic')
    """
    return NUMBER.sub("", thing)


def _number(thing: str) -> int:
    """Return the number of a thing; what there is only one of comes first."""
    found = NUMBER.search(thing)
    return int(found[0]) if found else 0


def _errands(plan: Sequence[str], search: Search) -> list[tuple[str, str]]:
    """Return what is to be done, each with its place; how one gets there is left out."""
    errands: list[tuple[str, str]] = []
    place = ""
    for action in plan:
        verb, _, _ = action.partition(" ")
        if verb == search.go:
            place = place_of(action)
        elif verb not in search.look:
            errands.append((place, action))
    return errands


def openings(now: Observation, place: str, search: Search = HOUSEHOLD) -> tuple[str, ...]:
    """Return the actions by which one now sees more of a place."""
    possible = (f"{verb} {place}" for verb in search.look)
    return tuple(action for action in possible if action in now.admissible)


def _thing(action: str) -> str:
    """Return the thing an action is about.

    >>> _thing("take bread 2 from garbagecan 1")
    'bread 2'
    """
    return " ".join(action.split()[1:3])
