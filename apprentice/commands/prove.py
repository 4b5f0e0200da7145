"""`apprentice skills prove`: let candidates show that they help, and adopt those that do."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from apprentice.build import make_rig, make_trials, run_lock
from apprentice.gate.proving import PAIRS, PROOF, TOGETHER, CannotProveError, Court, Ruling, prove
from apprentice.loop.admission import candidates
from apprentice.settings.config import Config
from apprentice.terminal.terminal import SHORT_ID, Tally, out, progress, say_json, table
from environments.errors import UserError
from memory.bank.bank import Bank
from memory.knowledge.items import Item, Standing


class NotACandidateError(UserError, ValueError):
    """Something cannot be proved any more, or not here."""


def prove_items(config: Config, named: Sequence[str], pairs: int | None, *, as_json: bool) -> None:
    """Play the pairs of these candidates, or of all that wait, and say what came."""
    if config.memory.admission != PROOF:
        raise CannotProveError(
            f"memory.admission is {config.memory.admission!r}; set it to 'proof', or judge by hand "
            "with: apprentice skills approve"
        )
    with make_rig(config) as rig, make_trials(config) as trials, run_lock(config, PROOF):
        court = Court(
            rig=rig,
            trials=trials,
            seed=config.seed,
            set_aside=config.memory.set_aside,
            pairs=pairs,
        )
        environment = config.environment.name
        if named:
            chosen = named_candidates(court.bank, environment, named)
        else:
            chosen = candidates(court.bank, trials, environment)
        rulings = asyncio.run(_judged(chosen, court))
    _say(rulings, as_json=as_json)


def named_candidates(bank: Bank, environment: str, named: Sequence[str]) -> list[Item]:
    """Return the named items.

    Raises:
        NotACandidateError: one is no candidate of this world.
    """
    items = [bank.get(id) for id in named]
    for item in items:
        if item.standing is not Standing.CANDIDATE or item.environment != environment:
            raise NotACandidateError(
                f"{item.id} is {item.standing} in {item.environment}; only candidates of "
                f"{environment} are proved here: apprentice skills list --standing candidate"
            )
    return items


async def _judged(chosen: Sequence[Item], court: Court) -> tuple[Ruling, ...]:
    most = 2 * (court.pairs or PAIRS) * min(len(chosen), TOGETHER)
    try:
        with progress(Tally(most, 0, time.monotonic)) as shown:
            return await prove(chosen, court, shown)
    finally:
        await court.rig.policy.close()


def _say(rulings: Sequence[Ruling], *, as_json: bool) -> None:
    if as_json:
        say_json([asdict(ruling) for ruling in rulings])
        return
    console = out()
    if not rulings:
        console.print("no candidates; make some with: apprentice absorb")
        return
    rows = ((ruling.item[:SHORT_ID], ruling.words) for ruling in rulings)
    console.print(table(("item", "verdict"), rows))
    console.print(Text("what is undecided goes on with the next: apprentice skills prove"))
