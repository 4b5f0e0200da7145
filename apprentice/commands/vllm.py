"""`apprentice vllm`: how true a vLLM server is to the local policy, and how one is started."""

import shlex
from dataclasses import replace

from apprentice.build import make_home
from apprentice.settings.acting import LEARNERS, VLLM, Named, find_acting
from apprentice.settings.config import Config
from apprentice.terminal.terminal import out, say_json, table
from environments.episode import Split
from environments.errors import UserError

PORT = 8000  # vLLM's own


class NotOursError(UserError, ValueError):
    """A policy whose weights are not here, so no server of ours can have them."""

    def __init__(self, use: str) -> None:
        super().__init__(f"{use!r} has its weights elsewhere; name vllm[:MODEL][@ADAPTER]")


def check(config: Config, split: Split, episodes: int, *, as_json: bool) -> None:
    """Play the same attempts on vLLM and in this process, and print how they differ."""
    from apprentice.audits.twins import twins

    _named(config)
    found = twins(config, split, episodes)
    if as_json:
        say_json(found.to_json())
        return
    headings = ("policy", "solved", "steps", "seconds")
    played = (found.served, found.own)
    rows = ((each.policy, each.solved, each.steps, f"{each.seconds:.0f}") for each in played)
    console = out()
    console.print(table(headings, rows))
    console.print(
        f"{found.same} of {found.episodes} episodes are the same, "
        f"{found.together} of {found.own.steps} steps before the first that differs"
    )
    for each in played:
        console.print(f"{each.policy}: {each.mismatch.sentence}")


def command(config: Config, *, as_json: bool) -> None:
    """Print the command that serves the policy elsewhere, for `vllm.url`."""
    from apprentice.vllm.build import start_of
    from apprentice.vllm.server import VARIABLES

    named = replace(_named(config), kind=VLLM)
    words = start_of(config, make_home(config), find_acting(config, named)).command(PORT)
    if as_json:
        say_json({"command": words, "variables": VARIABLES})
        return
    settings = [f"{name}={value}" for name, value in VARIABLES.items()]
    out().print(
        shlex.join(["env", *settings, *words]), soft_wrap=True, markup=False, highlight=False
    )


def _named(config: Config) -> Named:
    named = Named.parse(config.policy.use)
    if named.kind not in LEARNERS:
        raise NotOursError(config.policy.use)
    return named
