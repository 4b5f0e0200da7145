"""`apprentice search`: search train tasks, and learn from all that is found, as a candidate."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import monotonic

from agent.search.settings import SearchSettings
from apprentice.build import make_library, make_rig, now
from apprentice.commands.distill import show as show_job
from apprentice.commands.run import comparison, new_run, practise
from apprentice.distilling.gleaning import Gleaned
from apprentice.loop.absorbing import learn_from
from apprentice.loop.jobs import Job, alone, examined
from apprentice.runs.searching import Searching, sampling
from apprentice.settings.acting import LOCAL, Named, settled
from apprentice.settings.config import Config
from apprentice.settings.orders import Report
from apprentice.terminal.report import Summary
from apprentice.terminal.terminal import out, say_json
from environments.episode import Split
from environments.errors import UserError
from memory.knowledge.items import Demonstration, Item


class NothingFoundError(UserError, LookupError):
    """No search left anything to learn from."""

    def __init__(self, tasks: int) -> None:
        super().__init__(
            f"searching {tasks} tasks found no way and no step that is better than another; "
            "raise the budget: --search budget=400"
        )


class NoWeightsError(UserError, ValueError):
    """A policy whose weights are not here to be trained."""

    def __init__(self, use: str) -> None:
        super().__init__(f"{use!r} cannot learn, its weights are elsewhere; use local[:MODEL]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of the searches."""

    run: str
    summary: Summary
    cost: Searching
    gleaned: Gleaned
    items: Mapping[str, Item]  # of memory, new or strengthened, by id
    critiques: int


def search(config: Config, tasks: int, *, value: bool, as_json: bool) -> None:
    """Search so many train tasks, keep what was found, learn from it, and examine the outcome.

    Args:
        config: the settings; without a budget, that of `SearchSettings`.
        tasks: how many.
        value: whether the value head kept beside the adapter that acts is asked.
        as_json: print JSON.

    Raises:
        NothingFoundError: there is nothing to learn; the episodes are kept.
    """
    if Named.parse(config.policy.use).kind != LOCAL:
        raise NoWeightsError(config.policy.use)
    config = settled(_with_budget(config))
    came = _searched(config, tasks, value=value)
    from apprentice.distilling.searched import (  # torch: a second, needed only from here on
        Found,
        learn,
    )

    with make_library(config) as library, alone(library.orders, now()):
        shown = [each for each in came.items.values() if isinstance(each, Demonstration)]
        attempts = tuple(sorted(library.store.episode_ids(came.run)))
        found = Found(shown=shown, gleaned=came.gleaned, attempts=attempts)
        if found.nothing:
            raise NothingFoundError(tasks)
        report = learn(config, found, library, clock=monotonic)
        if config.distill.exam:
            report = examined(config, library, report)
    _show(came, report, as_json=as_json)


def _searched(config: Config, tasks: int, *, value: bool) -> Came:
    """Search, store the attempts and the branches worth it, and absorb both into memory."""
    proposing, gleaned = sampling(config), Gleaned()
    run = new_run(proposing, Split.TRAIN, tasks)
    with make_rig(proposing, may_search=True) as rig:
        assert rig.search is not None
        rig.search.listener, rig.search.asks_value = gleaned.take, value
        summary = practise(proposing, run, rig, fresh=True)
        cost = rig.search
    with make_library(config) as library:
        branches = gleaned.branches(library.store.episode_ids(run.id))
        library.store.add_all(branches)
        episodes = [*map(library.store.get, library.store.episode_ids(run.id)), *branches]
        wanted = {each.id for each in (*gleaned.solved, *gleaned.failed)}
        taught = [each for each in episodes if each.id in wanted]
        learned = asyncio.run(learn_from(config, taught, library.bank))
    return Came(
        run=run.id,
        summary=summary,
        cost=cost,
        gleaned=gleaned,
        items={item.id: item for item in learned.items},
        critiques=len(learned.episodes.critiques),
    )


def _with_budget(config: Config) -> Config:
    if config.search.budget:
        return config
    search = config.search.model_copy(update={"budget": SearchSettings().budget})
    return config.model_copy(update={"search": search})


def _show(came: Came, report: Report, *, as_json: bool) -> None:
    left = {
        "ways": len(came.gleaned.solved),
        "preferences": len(came.gleaned.preferred),
        "values": len(came.gleaned.targets),
        "failures": len(came.gleaned.failed),
        "critiques": came.critiques,
        "memories": len(came.items),
    }
    if as_json:
        cost = came.cost.to_json()
        say_json(
            {"run": came.run, **came.summary.to_json(), "search": cost, "found": left}
            | {"report": asdict(report)}
        )
        return
    console = out()
    console.print(comparison([came.summary]))
    console.print(came.cost.sentence)
    console.print("found: " + ", ".join(f"{many} {what}" for what, many in left.items()))
    show_job(Job(report=report), as_json=False)
