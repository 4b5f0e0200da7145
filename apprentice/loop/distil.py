"""How a round makes weights: a cold start where the model is bare, then its own attempts.

What is trained, and how, is the business of `apprentice.distilling.distilling` and its settings;
here it is only said from whom, on what, and under which name, so that a killed round asks for the
same again.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from time import monotonic

from apprentice.build import make_library, now
from apprentice.loop.jobs import alone
from apprentice.settings.acting import Acting, Named, find_acting
from apprentice.settings.config import Config
from apprentice.settings.orders import Library, Order, Report, ordered, read_report, write_order

COLD = "cold-start"
"""The preset that imitates demonstrations."""

KEY_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of a distillation."""

    policy: str | None  # a policy with the adapter; None: none was made
    report: Report | None  # None: nothing was worth training on
    dropped: Mapping[str, int]  # attempts that cannot be learned from, by reason


def cold_start(config: Config, bare: str) -> Made:
    """Make a student of a bare model by demonstrations, or find the one that was made so before.

    Args:
        config: the settings.
        bare: the policy, exactly.
    """
    update = {"distill": config.distill.model_copy(update={"preset": COLD})}
    config = config.model_copy(update=update)
    parts = (bare, config.distill.model_dump_json(), config.environment.model_dump_json())
    key = blake2b("\x1f".join((*parts, str(config.seed))).encode(), digest_size=KEY_BYTES)
    return distil_into(config, bare, f"cold-{key.hexdigest()}", ())


def distil_into(
    config: Config,
    student: str,
    name: str,
    only: Collection[str],
    beside: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Made:
    """Train a student into an adapter of this name; what was finished before is only read.

    Args:
        config: the settings.
        student: the policy to go on from, exactly.
        name: of the adapter.
        only: the episodes to choose from.
        beside: entered once it is known what is to be learned: what goes on meanwhile.

    Raises:
        BusyError: another process is training.
    """
    acting = find_acting(config, Named.parse(student))
    with make_library(config) as library, alone(library.orders, now()):
        order, dropped = _order(config, library, acting, name, only)
        if order is None:
            return Made(policy=None, report=None, dropped=dropped)
        with beside():
            report = read_report(library.adapters, name) or _learned(config, order, library)
    policy = replace(Named.parse(student), model=acting.model, adapter=name)
    return Made(policy=str(policy) if report.kept else None, report=report, dropped=dropped)


def _learned(config: Config, order: Order, library: Library) -> Report:
    from apprentice.distilling.distilling import distil
    from apprentice.terminal.watching import watched

    with watched(config, order.name) as watch:
        return distil(config, order, library, clock=monotonic, watch=watch)


def _order(
    config: Config, library: Library, acting: Acting, name: str, only: Collection[str]
) -> tuple[Order | None, Mapping[str, int]]:
    """Return what is to be learned under this name: as it was written down, or now."""
    for order in ordered(library.orders):
        if order.name == name:
            return order, {}
    from apprentice.distilling.choosing import place_order
    from apprentice.distilling.distilling import open_encoder

    encoder = open_encoder(config, library.environment, acting)
    offer = place_order(config, library, acting, encoder, made=now(), only=only)
    dropped = {reason.value: many for reason, many in offer.dropped.items() if many}
    if offer.order is None:
        return None, dropped
    order = replace(offer.order, name=name)
    write_order(library.orders, order)
    return order, dropped
