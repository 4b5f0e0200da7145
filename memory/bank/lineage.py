"""Why does memory hold this? From an item to its critique, its steps and its episodes.

A tree of lines: it can be printed as it is, or walked by whoever draws it otherwise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from environments.episode import Episode, Step
from memory.bank.bank import Bank
from memory.knowledge.items import Citation, Critique, Demonstration, Item, Lesson, Skill, text_of
from memory.knowledge.journal import Deed, Entry
from memory.store.store import Store

LONGEST_LINE = 160
"""Characters of a line: two lines of a terminal; an observation may be a page long."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of a tree, and the lines that it rests on."""

    line: str
    grounds: tuple["Trace", ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the lines, drawn as a tree."""
        yield self.line
        for ground in self.grounds:
            last = ground is self.grounds[-1]
            first, *others = ground.lines()
            yield f"{'└─' if last else '├─'} {first}"
            yield from (f"{' ' if last else '│'}  {other}" for other in others)


def why(bank: Bank, store: Store, id: str) -> Trace:
    """Return where an item or a critique comes from.

    Raises:
        UnknownIdError: the bank holds neither.
    """
    if id.startswith("C"):
        return _of_critique(store, bank.critique(id))
    return _of_item(bank, store, bank.get(id))


def _of_item(bank: Bank, store: Store, item: Item) -> Trace:
    history = tuple(_of_history(bank.history(item.id)))
    match item:
        case Lesson(critique=critique) if critique:
            grounds = [_of_critique(store, bank.critique(critique))]
        case Skill():
            grounds = [_of_item(bank, store, bank.get(id)) for id in item.demonstrations]
        case _:
            grounds = []
    first, *others = (store.get(id) for id in item.source.episodes)
    actions = [move.action for move in item.moves] if isinstance(item, Demonstration) else []
    episodes = (_of_episode(first, actions), *(_of_episode(other, []) for other in others))
    return Trace(_line(_title(item)), (*history, *grounds, *episodes))


def _of_critique(store: Store, critique: Critique) -> Trace:
    episodes = {id: store.get(id) for id in critique.source.episodes}
    cited = [_of_citation(episodes[critique.episode], each) for each in critique.citations]
    shown = [_of_episode(episode, []) for episode in episodes.values()]
    votes = " ".join(f"{vote:+d}" for vote in critique.votes)
    by = critique.source.critic or "no model"
    title = f"{critique.id} critique by {by}: {critique.score:+d} (votes {votes}) {critique.hint}"
    return Trace(_line(title), (*cited, *shown))


def _of_citation(episode: Episode, citation: Citation) -> Trace:
    if citation.step == len(episode.steps):
        return Trace(_line(f'at the end of {episode.id}: "{citation.quote}"'))
    return Trace(
        _line(f'step {citation.step} of {episode.id}: "{citation.quote}"'),
        (_of_step(citation.step, episode.steps[citation.step]),),
    )


def _of_episode(episode: Episode, actions: list[str]) -> Trace:
    """Return the line of an episode, and the steps that took these actions, in their order."""
    title = (
        f"episode {episode.id}: {episode.task.goal} ({episode.task.id}) {episode.ending} "
        f"after {len(episode.steps)} steps by {episode.policy}"
    )
    steps = iter(enumerate(episode.steps))
    taken: list[Trace] = []
    for action in actions:
        for number, step in steps:
            if step.action == action:
                taken.append(_of_step(number, step))
                break
    return Trace(_line(title), tuple(taken))


def _of_step(number: int, step: Step) -> Trace:
    return Trace(_line(f"step {number}: {step.action or 'no legal action'} <- {step.observation}"))


def _of_history(entries: Iterable[Entry]) -> Iterator[Trace]:
    """Yield a line for each deed, and one for all of a row of mergers: a lesson has a hundred."""
    for (deed, *_), together in groupby(entries, key=lambda each: (each.deed, each.by)):
        run = list(together)
        if deed is Deed.MERGED and len(run) > 1:
            since = run[0].at.isoformat(timespec="minutes")
            yield Trace(_line(f"{len(run)} times since {since}: {_of_entry(run[-1]).line}"))
        else:
            yield from map(_of_entry, run)


def _of_entry(entry: Entry) -> Trace:
    standing = f", {entry.standing}" if entry.standing else ""
    why = f": {entry.why}" if entry.why else ""
    when = entry.at.isoformat(timespec="minutes")
    return Trace(_line(f"{when} {entry.deed} by {entry.by}, v{entry.version}{standing}{why}"))


def _title(item: Item) -> str:
    where = f"{item.environment}/{item.kind}" if item.kind else item.environment
    kind = type(item).__name__.lower()
    return f"{item.id} {kind} v{item.version}, {item.standing}, of {where}: {text_of(item)}"


def _line(text: str) -> str:
    """Return a text on one line, without characters that move a terminal's cursor."""
    words = " ".join(text.split())
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)
    return clean if len(clean) <= LONGEST_LINE else f"{clean[: LONGEST_LINE - 1]}…"
