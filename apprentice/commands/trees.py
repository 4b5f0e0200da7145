"""`apprentice episodes show --tree`: the tree of a search, as a picture in the terminal."""

import sys
from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from agent.search.record import Searched, Twig, to_json
from apprentice.build import make_home, make_store
from apprentice.runs.searching import TREES, lines_of, read_tree
from apprentice.settings.config import Config
from apprentice.terminal.terminal import COLORS, inert, out

BAR = 10
"""Characters of the bar that shows a mean: empty at -1, full at 1."""

CHOSEN = "bold cyan"


def show_tree(config: Config, episode_id: str, *, as_json: bool) -> None:
    """Print the tree of the search that found an episode: visits, means, the way chosen."""
    with make_store(config) as store:
        episode = store.get(episode_id)
    searched = read_tree(make_home(config) / TREES, episode.id)
    if as_json:
        sys.stdout.write(to_json(searched).decode() + "\n")
        return
    console = out()
    for line in lines_of(searched):
        console.print(Text(line, style="dim"))
    console.print(drawn(searched, episode.task.goal))


def drawn(searched: Searched, goal: str) -> Tree:
    """Return the picture: the most visited first, the chosen way marked, its end spelled out."""
    below: dict[int, list[int]] = {place: [] for place in range(len(searched.twigs))}
    for place, twig in enumerate(searched.twigs):
        if twig.parent is not None:
            below[twig.parent].append(place)
    root = Tree(Text(f"{inert(goal)}   {_figures(searched.twigs[0])}"), guide_style="dim")
    left = [(root, 0)]
    while left:
        tree, place = left.pop()
        first = sorted(below[place], key=lambda at: -searched.twigs[at].visits)
        left += [(tree.add(_line(searched.twigs[child])), child) for child in first]
        ends_here = searched.twigs[place].chosen and not _goes_on(searched, below[place])
        if ends_here and searched.rest:
            tree.add(Text(inert(f"then, rolled out: {' / '.join(searched.rest)}"), style=CHOSEN))
    return root


def _goes_on(searched: Searched, children: Sequence[int]) -> bool:
    return any(searched.twigs[child].chosen for child in children)


def _line(twig: Twig) -> Text:
    action = Text(inert(" / ".join(twig.actions)), style=CHOSEN if twig.chosen else "")
    again = f"  proposed {twig.repeats + 1} times" if twig.repeats else ""
    line = Text.assemble(action, "   ", _figures(twig), (again, "dim"))
    if twig.ending is not None:
        line.append(f"  {twig.ending.value}", style=COLORS[twig.ending])
    return line


def _figures(twig: Twig) -> str:
    full = round((twig.mean + 1) / 2 * BAR)
    visits = "visit" if twig.visits == 1 else "visits"
    return f"{'█' * full}{'░' * (BAR - full)} {twig.mean:+.2f}  {twig.visits} {visits}"
