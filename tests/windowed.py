"""A home that real commands filled, for the windows to look into, and words that want to act."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from apprentice.build import STORE, make_bank, make_store
from apprentice.cli import app
from apprentice.gate.promises import Promise, write_promise
from apprentice.settings.config import Config, load
from apprentice.web.site import Access, open_site
from bank_builders import a_critique, a_lesson, a_recall, a_source
from distill.models.adapters import Adapters
from environments.episode import Ending
from learning import a_lineage, tiny_student, tokenizer
from memory.bank.bank import Bank
from memory.knowledge.items import Citation, Standing
from memory.proof.proof import Outcome
from memory.store.store import Store
from store_worker import an_episode

NOW = datetime.now(UTC)

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)> \x1b[31mred \u202egnp"
)
"""A script, a picture that runs one, an ANSI color, a right-to-left override."""

WORLD = """seed = 7
[environment]
name = "household"
settings = { max_receptacles = 5, max_objects = 6, kinds = ["look_at_obj_in_light"] }
[policy]
use = "random"
[limits]
steps = 40
[memory]
recall = "off"
"""


def real_home(folder: Path, *, episodes: int = 16) -> Config:
    """Return the settings of a home in which a random policy practised and was criticized."""
    (folder / "apprentice.toml").write_text(WORLD)
    flags = ["--home", folder / "home", "--config", folder / "apprentice.toml"]
    for command in (["run", "--episodes", episodes], ["absorb", "--critic", "evidence"]):
        done = CliRunner().invoke(app, [*map(str, [*command, *flags])])
        assert done.exit_code == 0, done.output
    config = load({"home": folder / "home"}, folder / "apprentice.toml")
    _add_uses(config)
    _add_adapters(config)
    return config


def hostile(config: Config) -> tuple[str, str]:
    """Store an episode and a lesson full of words that want to act; return their ids."""
    path = config.home / STORE
    plain = an_episode("hostile", started=NOW - timedelta(hours=1), run="", ending=Ending.FAILED)
    step = replace(plain.steps[0], observation=HOSTILE, action=HOSTILE, admissible=(HOSTILE,))
    task = replace(plain.task, goal=HOSTILE, kind=HOSTILE, id=f"task {HOSTILE}")
    with Store.open(path) as store:
        store.add(replace(plain, steps=(step,), task=task, briefing=HOSTILE, closing=HOSTILE))
    source = a_source("hostile", made=NOW)
    with Bank.open(path) as bank:
        bank.criticize(
            a_critique(
                "hostile",
                hint=HOSTILE,
                citations=(Citation(step=0, quote=HOSTILE),),
                source=source,
            )
        )
        lesson = bank.add(a_lesson(when=HOSTILE, instead=HOSTILE, kind=HOSTILE, source=source))
    return "hostile", lesson.id


def looking(config: Config, **access: object):
    """Open the site of a home."""
    return open_site(config, Access(**access))


def _add_uses(config: Config) -> None:
    """Let the oldest item be recalled for each episode, and left out of every fourth."""
    with make_store(config) as store, make_bank(config) as bank:
        item = bank.items()[0]
        bank.set_standing(item.id, Standing.ACTIVE, "looks right", NOW, by="user")
        for place, row in enumerate(store.rows(limit=99)):
            use = a_recall(item, row.id, run=row.run, at=NOW, propensity=0.75)
            bank.log_uses([replace(use, shown=place % 4 != 0)])


def _add_adapters(config: Config) -> None:
    """Keep a parent and its child, made of tiny weights and of the episodes of the home."""
    kept = Adapters(config.home / "adapters")
    with make_store(config) as store:
        ids = tuple(row.id for row in store.rows(limit=3))
    for name, parent in (("distilled-0001", None), ("distilled-0002", "distilled-0001")):
        lineage = a_lineage(name, base="tiny", parent=parent, episodes=ids, made=NOW)
        kept.add(tiny_student(), tokenizer(), lineage)
    kept.promote("distilled-0002")
    promise = Promise(
        adapter="distilled-0002",
        incumbent="tiny@base",
        outcome=Outcome.PROMOTE,
        sentence="promote: 21 wins, 6 losses in 60 pairs",
        level=0.03,
        solved=30,
        tasks=60,
        low=0.38,
        high=0.62,
        conditions="",
        round="",
        judged=NOW - timedelta(minutes=30),
    )
    write_promise(config, promise)
