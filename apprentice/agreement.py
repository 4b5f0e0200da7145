"""Does the vector index find what SQL holds? For whoever looks after the memory."""

from dataclasses import dataclass

from apprentice.build import INDEX, make_bank, make_embedder, make_home, make_index
from apprentice.settings.config import Config
from memory.index.claim import Owner, owner_of
from memory.index.index import Agreement
from memory.knowledge.items import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The active items, their vectors, and what a search of them finds."""

    active: int
    owner: Owner | None  # another process that has the index; None: it is free, or on a server
    found: Agreement

    @property
    def unembedded(self) -> int:
        """Return how many active items have no vector yet; the next run gives them theirs."""
        return self.active - self.found.stored

    def words(self) -> str:
        """Return what differs, or that nothing does."""
        if not self.found.good:
            held = f"the index holds {self.found.indexed} of {self.found.stored} vectors"
            return f"{held} and misses {len(self.found.lost)}; run: apprentice memory reindex"
        whose = f"; process {self.owner.pid} on {self.owner.host} has it" if self.owner else ""
        waiting = f", {self.unembedded} items wait for theirs" if self.unembedded else ""
        return f"index and bank agree on {self.found.stored} vectors{waiting}{whose}"


def compare(config: Config) -> Compared:
    """Search the index for what SQL holds. It takes over first what was stored since it was open.

    Raises:
        UserError: bank or index cannot be opened, and someone can mend that.
    """
    folder = make_home(config) / INDEX
    with make_bank(config) as bank:
        owner = None if config.memory.chroma_host else owner_of(folder)
        with make_index(config, bank, make_embedder(config).name) as index:
            return Compared(
                active=bank.count(standing=Standing.ACTIVE), owner=owner, found=index.check()
            )
