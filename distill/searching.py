"""An expert's plan made into what somebody would do who does not know where things are.

A plan that goes straight to what it wants cannot be imitated: nothing in sight tells why there.
Here the expert looks everywhere in the order in which the places were named, until he sees a thing
of the kind he wants. That order can be read off the transcript, so it can be learned; a random
order cannot, and teaches walking in circles (docs/log.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from environments.environment import Environment, Play
from environments.episode import Ending, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The words of a world for looking around."""

    go: str  # the verb of an action that leads to a place
    look: tuple[str, ...] = ()  # verbs that show more of a place once there


KIND_WORDS = 2
"""First words of an action that tell what it does to what kind of thing: "take bread"."""

HOUSEHOLD = Search(go="go", look=("open",))


@dataclass(slots=True)
class _Walk:
    """A play, what was done in it, and where it has been."""

    play: Play
    search: Search
    done: list[str] = field(default_factory=list[str])
    read: str = ""  # all that was seen, in order

    def act(self, action: str) -> None:
        self.done.append(action)
        self.read += "\n" + self.play.step(action).text

    def unknown(self, action: str, goal: str) -> bool:
        verb, place = _parted(action)
        told = any(word in goal.replace(".", " ").split() for word in place.split())
        return verb == self.search.go and not told and action not in self.done

    def look_for(self, rest: list[str]) -> list[str]:
        """Look into every place that was named before the one wanted; return the plan from there.

        It is the plan given, or the same about another thing of the kind, seen on the way.
        """
        wanted = next((each for each in rest[1:] if _parted(each)[0] not in self.search.look), "")
        for way in self._places():
            if way == rest[0]:
                break
            if way not in self.done and way in self.play.observation.admissible:
                self.act(way)
                self._look_around(_parted(way)[1])
                found = self._like(wanted)
                if found is not None:
                    after = rest[rest.index(wanted) + 1 :]
                    return [found, *(a.replace(_thing(wanted), _thing(found)) for a in after)]
        return rest

    def _like(self, wanted: str) -> str | None:
        """Return an action now possible that does the same to a thing of the same kind."""
        alike = wanted.split()[:KIND_WORDS]
        here = self.play.observation.admissible
        return next((each for each in here if each.split()[:KIND_WORDS] == alike), None)

    def _look_around(self, place: str) -> None:
        for verb in self.search.look:
            if f"{verb} {place}" in self.play.observation.admissible:
                self.act(f"{verb} {place}")

    def _places(self) -> list[str]:
        """Return the ways to all places, in the order in which the places were named."""
        ways = [a for a in self.play.observation.admissible if _parted(a)[0] == self.search.go]
        return sorted(ways, key=lambda way: self._named(_parted(way)[1]))

    def _named(self, place: str) -> int:
        found = re.search(rf"\b{re.escape(place)}\b", self.read)
        return found.start() if found else len(self.read)


def _thing(action: str) -> str:
    """Return the thing an action is about.

    >>> _thing("take bread 2 from garbagecan 1")
    'bread 2'
    """
    return " ".join(action.split()[1:3])


def _parted(action: str) -> tuple[str, str]:
    """Return the verb and what follows it, without "to".

    >>> _parted("go to drawer 2"), _parted("open drawer 2")
    (('go', 'drawer 2'), ('open', 'drawer 2'))
    """
    verb, _, rest = action.partition(" ")
    return verb, rest.removeprefix("to ")


def searched(
    environment: Environment, task: Task, plan: Sequence[str], search: Search = HOUSEHOLD
) -> tuple[str, ...]:
    """Return the plan with a search before each place that the task does not name.

    A place where the expert has been, or that the goal names, is not searched for. The plan comes
    back as it was where its search leads nowhere, such as in a world with other rules.
    """
    play = environment.start(task)
    walk = _Walk(play, search, read=play.observation.text)
    rest = list(plan)
    while rest:
        if walk.unknown(rest[0], task.goal):
            rest = walk.look_for(rest)
        action = rest.pop(0)
        if action in play.observation.admissible:
            walk.act(action)
    solved = play.observation.ending is Ending.SOLVED
    play.close()
    return tuple(walk.done) if solved else tuple(plan)
