"""What must go, and what can stay, when an episode is to be forgotten.

The decision only; the bank carries it out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from memory.knowledge.items import Critique, Demonstration, Item, Lesson, Skill, Source


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What becomes of all that was derived from one episode."""

    episode: str
    removed: tuple[str, ...]  # ids of items and critiques that cannot do without it
    critiques: tuple[Critique, ...]  # those that stay, without it
    items: tuple[Item, ...]  # those that stay, without it or without what is removed


def forgetting(
    episode: str,
    critiques: Sequence[Critique],
    items: Sequence[Item],
    policies: Mapping[str, str],
) -> Forgetting:
    """Return what becomes of these when the episode is forgotten.

    Args:
        episode: the id of the episode.
        critiques: all that may rest on it.
        items: all that may rest on it, or on what else goes.
        policies: who acted, by id of the other source episodes.
    """
    removed = [c.id for c in critiques if c.episode == episode or _rests_on(c, episode)]
    removed += [item.id for item in items if _rests_on(item, episode)]
    kept = [(item, _without(item, episode, removed, policies)) for item in items]
    return Forgetting(
        episode=episode,
        removed=tuple(removed),
        critiques=tuple(
            replace(c, source=_source_without(c.source, episode, policies))
            for c in critiques
            if c.id not in removed and episode in c.source.episodes
        ),
        items=tuple(new for old, new in kept if old.id not in removed and new != old),
    )


def _rests_on(content: Item | Critique, episode: str) -> bool:
    """Whether nothing of it would remain. The moves of a demonstration are its first source's."""
    sources = content.source.episodes
    if isinstance(content, Demonstration):
        return sources[0] == episode
    return set(sources) == {episode}


def _without(
    item: Item, episode: str, removed: Collection[str], policies: Mapping[str, str]
) -> Item:
    item = replace(item, source=_source_without(item.source, episode, policies))
    match item:
        case Lesson() if item.critique in removed:
            return replace(item, critique="")
        case Skill():
            left = tuple(id for id in item.demonstrations if id not in removed)
            return replace(item, demonstrations=left)
        case _:
            return item


def _source_without(source: Source, episode: str, policies: Mapping[str, str]) -> Source:
    if episode not in source.episodes:
        return source
    left = tuple(id for id in source.episodes if id != episode)
    policy = ", ".join(sorted({policies[id] for id in left}))
    return replace(source, episodes=left, policy=policy)
