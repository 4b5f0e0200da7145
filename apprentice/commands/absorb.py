"""`apprentice absorb`: turn kept episodes into demonstrations, lessons and skills."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from rich.text import Text

from apprentice.build import make_bank, make_environment, make_store
from apprentice.loop.absorbing import Learned, learn_in
from apprentice.settings.config import Config, World
from apprentice.settings.freezing import StaleSettingsError, thaw
from apprentice.terminal.terminal import aside, inert, out, say_json
from environments.environment import Environment
from environments.episode import Episode, Split
from environments.errors import UserError
from environments.registry import names
from memory.store.errors import UnknownIdError
from memory.store.store import Store


def absorb_episodes(
    config: Config, run: str | None, *, recorded: bool = True, as_json: bool
) -> None:
    """Learn from the train episodes that were not absorbed yet, and say what came of it.

    Args:
        config: the settings.
        run: only the episodes of this one; None: of all.
        recorded: whether each is taken to be of the world that was written down with it; else all
            are of the world of the settings.
        as_json: for a program.
    """
    with make_store(config) as store, make_bank(config) as bank:
        chosen = store.run(run) if run else None
        episodes = list(store.episodes(split=Split.TRAIN, run=chosen and chosen.id))
        groups = _by_world(config, store, episodes) if recorded else [(config, episodes)]
        learned: list[Learned] = []
        passed_over = Counter[str]()
        for own, lived in groups:
            try:
                world = _opened(own) if recorded else make_environment(own)
            except UserError as error:
                if not recorded:
                    raise
                passed_over[str(error)] += len(lived)
            else:
                learned.append(asyncio.run(learn_in(own, lived, bank, world)))
    _say(learned, passed_over, len(episodes), as_json=as_json)


def _by_world(
    config: Config, store: Store, episodes: Iterable[Episode]
) -> list[tuple[Config, list[Episode]]]:
    """Return the episodes of each world, and the settings with that world in them."""
    known: dict[tuple[str, str], World] = {}
    groups: dict[str, tuple[Config, list[Episode]]] = {}
    for episode in episodes:
        place = episode.run, episode.task.environment
        if place not in known:
            known[place] = _recorded(*place, config, store)
        world = known[place]
        own = config.model_copy(update={"environment": world})
        groups.setdefault(world.model_dump_json(), (own, []))[1].append(episode)
    return list(groups.values()) or [(config, [])]


def _recorded(run: str, name: str, config: Config, store: Store) -> World:
    """Return the world of an episode: as its run wrote it down, as it is set, or by its name."""
    with suppress(UnknownIdError, StaleSettingsError):
        found = store.run(run)
        world = thaw(found.settings, config).environment
        if found.id == run and world.name == name:
            return world
    return config.environment if config.environment.name == name else World(name=name)


def _opened(config: Config) -> Environment | None:
    """Return the world of the settings; None: it is somebody else's, who only tells of it here."""
    if config.environment.name in names():
        return make_environment(config)
    name = inert(repr(config.environment.name))
    aside().print(f"no environment {name} is known here: what it solved cannot be played again")
    return None


def _say(
    learned: Sequence[Learned], passed_over: Mapping[str, int], looked_at: int, *, as_json: bool
) -> None:
    told = [each.episodes for each in learned]
    items = {item.id: item for each in learned for item in each.new}
    kinds = Counter(type(item).__name__.lower() for item in items.values())
    criticized = sum(len(each.critiques) for each in told)
    skipped = Counter(passed_over)
    rejected = Counter[str]()
    for each in told:
        skipped.update({reason.value: many for reason, many in each.skipped.items() if many})
        rejected.update({str(reason): many for reason, many in each.rejections.items() if many})
    if as_json:
        say_json({
            "episodes": looked_at, "items": kinds, "critiques": criticized,
            "tagged": sum(each.tagged for each in told), "skipped": skipped, "rejected": rejected,
        })  # fmt: skip
        return
    console = out()
    made = ", ".join(_counted(many, kind) for kind, many in kinds.items()) or "nothing new"
    critiques = _counted(criticized, "critique")
    console.print(Text(f"{_counted(looked_at, 'episode')} looked at: {made}, {critiques}"))
    for reason, many in (skipped | rejected).items():
        console.print(Text(inert(f"  {many:>5}  {reason}"), style="dim"))
    if not looked_at:
        console.print("no train episodes are kept here; practise some first: apprentice run")
    elif items:
        console.print(
            "look at them: apprentice skills list; let them prove: apprentice skills prove"
        )


def _counted(many: int, what: str) -> str:
    return f"{many} {what}" if many == 1 else f"{many} {what}s"
