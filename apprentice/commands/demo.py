"""`apprentice demo`: one round of learning on what ships with the project, while you watch."""

from pathlib import Path

from rich.text import Text

from agent.attempt import Attempt
from apprentice.build import make_rig, run_lock
from apprentice.commands.exam import difference, table_of
from apprentice.commands.learn import LOCK, begin_round, carry_on, open_rounds, plain
from apprentice.commands.run import new_run, practise
from apprentice.loop.reports import Record
from apprentice.settings.acting import settled
from apprentice.settings.config import Config
from apprentice.terminal.terminal import Bar, Lines, aside, ending, inert, out, say_json, tell
from environments.episode import Episode, Split, Step
from memory.proof.proof import Outcome, sentence

HOME = Path(".apprentice-demo")
"""Where the demo keeps everything: a policy that learned the easiest rooms is nobody's own."""

FILE = "demo.toml"

NEXT = {
    "what memory holds:": "skills list",
    "what the weights learned:": "adapters list",
    "that none was held out:": "learn --check",
    "judge it again:": "learn --replay 1",
}
"""Where to look next."""

SETTINGS = """\
# One round of learning in some minutes on two cores. Change it, and go on with:
# apprentice learn --home HOME --config HOME/demo.toml

[environment.settings]              # one sort of chore, few places to look
kinds = ["pick_and_place_simple"]
max_receptacles = 6

[distill]
demonstrations = 16
passes = 2                          # over them, each time with other detours
walks = 120                         # at random, without the model: what they solved is shown too
detour_chance = 0.6                 # often: from so few rooms one has to see much
length = 1024

[learn]
tasks = 6
attempts = 6
steps = 20
exam = 44
pairs = 0                           # memories stay candidates
probes = 0

[gate]
anchors = 4
tolerated = 1
block = 8
tries = 0

[critic]
use = "evidence"                    # rules, no model
"""


def written_settings(home: Path) -> Path:
    """Return the file of the demo's settings, written where it is missing."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / FILE
    if not file.exists():
        file.write_text(SETTINGS.replace("HOME", str(home)), encoding="utf-8")
    return file


def demo(config: Config, *, as_json: bool) -> None:
    """Let the model play, learn for one round, and play again; say what came of it."""
    _watched(config, "before: who acts now plays one game")
    with run_lock(config, LOCK), open_rounds(config) as rounds:
        round = rounds.unfinished() or begin_round(config, rounds)
        record = carry_on(config, round, rounds, quiet=as_json)
    promoted = record.promote is not None and record.promote.outcome is Outcome.PROMOTE
    if promoted:
        _watched(config, "after: the promoted policy plays one game")
    if as_json:
        say_json(plain(round, record))
    else:
        _conclude(config.home, record, promoted=promoted)


def _watched(config: Config, words: str) -> None:
    """Play one game, told step by step."""
    aside().print(Text(words, style="bold"))
    config = settled(config)
    run = new_run(config, Split.TRAIN, 1)
    with make_rig(config) as rig:
        practise(config, run, rig, fresh=True, watched_by=Narrator)


class Narrator:
    """Tells an episode step by step."""

    def __init__(self, shown: Bar | Lines) -> None:
        self._shown, self._steps = shown, 0

    def step(self, attempt: Attempt, step: Step) -> None:
        self._steps += 1
        tell(self._shown.console, self._steps, step)
        self._shown.step(attempt, step)

    def episode(self, episode: Episode) -> None:
        self._shown.console.print(Text(inert(f"    {episode.closing}")))
        self._shown.console.print(ending(episode.ending))
        self._shown.episode(episode)


def _conclude(home: Path, record: Record, *, promoted: bool) -> None:
    """Print before and after, and where to look next."""
    console = out()
    console.print()
    if record.examine is not None:
        gated = record.examine.gated
        console.print(table_of(gated.compared))
        console.print(Text(difference(gated.compared)))
        console.print(Text(sentence(gated.verdict)))
    learned = record.absorb.items if record.absorb is not None else {}
    words = [f"{len(ids)} {sort}{'s' * (len(ids) > 1)}" for sort, ids in learned.items()]
    console.print(f"memory learned {', '.join(words) or 'nothing'}")
    console.print("the candidate acts from now on" if promoted else "it was not promoted")
    for what, command in NEXT.items():
        console.print(Text(f"{what:<27}apprentice {command} --home {home}"))
