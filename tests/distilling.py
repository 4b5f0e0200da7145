"""A home with a tiny model of bytes, and its own attempts in a workshop where luck is enough."""

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

from apprentice.build import STORE, make_bank, make_rig, make_store
from apprentice.cli import main
from apprentice.commands.run import new_run
from apprentice.distilling.choosing import Offer, place_order
from apprentice.distilling.distilling import open_encoder
from apprentice.runs.runs import carry_out, plan
from apprentice.settings.acting import ADAPTERS, Acting, Named, find_acting, settled
from apprentice.settings.config import Config, load
from apprentice.settings.orders import ORDERS, Library
from apprentice.terminal.terminal import Lines, Tally, aside
from distill.models.adapters import Adapters
from environments.episode import Split
from memory.bank.annotations import Annotations
from practicing import NOON
from worlds import Workshop

LONG = 2048  # bytes of a transcript


class KilledError(Exception):
    """Stands for the end of a process, in the middle of learning."""


def settings_of(home: Path, base: Path, **distill: object) -> Config:
    small = {"length": LONG, "rate": 1e-3, "demonstrations": 2, "passes": 2, "every": 2}
    return load(
        {
            "home": home,
            "policy": {"use": f"local:{base}", "temperature": 4.0, "dtype": "float32"},
            "memory": {"recall": "off"},
            "limits": {"steps": 4},
            "distill": {**small, "replay": 1, "canaries": 0, "exam": False, **distill},
        }
    )


def practised(config: Config, episodes: int = 72) -> Config:
    """Let the model that acts try each task of the workshop several times."""
    config = settled(config)
    run = new_run(config, Split.TRAIN, episodes)
    with make_rig(config) as rig:
        rig = replace(rig, environment=Workshop())
        rig.store.begin_run(run)
        attempts = plan(run, rig.environment.tasks(run.split))
        quiet = Lines(Tally(episodes, 0, lambda: 0.0), aside())
        asyncio.run(carry_out(run, attempts, rig, quiet))
    return config


def lived_in(home: Path, model: Path) -> Path:
    """Let a tiny model try each of nine tasks eight times; return its home."""
    practised(settings_of(home, model))
    return home


@contextmanager
def library_of(config: Config) -> Generator[Library]:
    with (
        make_store(config) as store,
        make_bank(config) as bank,
        Annotations.open(config.home / STORE) as annotations,
    ):
        yield Library(
            store=store,
            bank=bank,
            annotations=annotations,
            environment=Workshop(),
            adapters=Adapters(config.home / ADAPTERS),
            orders=config.home / ORDERS,
        )


def learner(config: Config) -> Acting:
    return find_acting(config, Named.parse(config.policy.use))


def offered(config: Config, library: Library, **rest: object) -> Offer:
    acting = learner(config)
    encoder = open_encoder(config, library.environment, acting)
    return place_order(config, library, acting, encoder, made=NOON, **rest)


def ask(place, *args):
    """Run `apprentice ARGS` here, in this process: starting one takes seconds of torch."""
    said, asides = StringIO(), StringIO()
    was, sys.argv = sys.argv, ["apprentice", *map(str, args)]
    code = 0
    try:
        with chdir(place), redirect_stdout(said), redirect_stderr(asides):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = was
    return subprocess.CompletedProcess(args, code, said.getvalue(), asides.getvalue())
