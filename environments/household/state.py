"""What changes in a house while someone acts in it.

An immutable value: acting makes a new one, so forking a play costs nothing and threads may share.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    location: str
    held: str | None  # None: the hand is empty
    contents: Mapping[str, tuple[str, ...]]  # receptacle -> objects, sorted by identifier
    standing: frozenset[tuple[str, str]]  # (object, location): a knife reaches it there
    taken: frozenset[tuple[str, str]] = frozenset()  # (object, receptacle), not put back since
    opened: frozenset[str] = frozenset()
    clean: frozenset[str] = frozenset()
    hot: frozenset[str] = frozenset()
    cool: frozenset[str] = frozenset()
    toggled: frozenset[str] = frozenset()
    sliced: frozenset[str] = frozenset()

    @property
    def key(self) -> Hashable:
        """Return what is equal for equal states; places are listed in the same order in a house."""
        rest = (getattr(self, name) for name in _PLAIN)
        return (tuple(self.contents.values()), *rest)


_PLAIN = tuple(each.name for each in fields(State) if each.name != "contents")
