"""What the pages are of: everything open that they read, and what a visitor may do."""

import hmac
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from apprentice.build import make_bank, make_home, make_store, now, store_place
from apprentice.settings.acting import ADAPTERS
from apprentice.settings.config import Config
from distill.models.adapters import Adapters
from memory.bank.annotations import Annotations
from memory.bank.bank import Bank
from memory.bank.pages import Pages
from memory.proof.rounds import Rounds
from memory.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may look, and whether they may change anything."""

    token: str = ""  # asked of every visitor; empty: none is
    edits: bool = False  # review actions are offered, which takes a token
    hosts: tuple[str, ...] = ()  # names by which a visitor may call this server; empty: any

    @property
    def seal(self) -> str:
        """Return what a form of ours carries and a form of another site cannot know."""
        return hmac.new(self.token.encode(), b"form", sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that the pages read."""

    config: Config
    store: Store
    bank: Bank
    annotations: Annotations
    pages: Pages
    rounds: Rounds
    adapters: Adapters
    access: Access
    clock: Callable[[], datetime]


@contextmanager
def open_site(config: Config, access: Access) -> Generator[Site]:
    """Yield everything that the pages read, open."""
    home = make_home(config)
    with ExitStack() as opened:
        yield Site(
            config=config,
            store=opened.enter_context(make_store(config)),
            bank=opened.enter_context(make_bank(config)),
            annotations=opened.enter_context(Annotations.open(store_place(config))),
            pages=opened.enter_context(Pages.open(store_place(config))),
            rounds=opened.enter_context(Rounds.open(store_place(config))),
            adapters=Adapters(home / ADAPTERS),
            access=access,
            clock=now,
        )
