"""`apprentice memory`: keep the bank, its journal and its index in agreement."""

from rich.text import Text

from apprentice.build import make_bank, make_index
from apprentice.config import Config
from apprentice.terminal import inert, out, say_json
from memory.embed import Embedder, embed_missing

EXIT_DIFFERS = 1


def reindex(config: Config, *, as_json: bool) -> None:
    """Embed what has no vector yet, and make the index again from SQL alone."""
    embedder = Embedder(config.memory.embedder)
    with make_bank(config) as bank:
        embedded = embed_missing(bank, embedder)
        with make_index(config, bank, embedder.name) as index:
            indexed = index.rebuild()
    if as_json:
        say_json({"embedded": embedded, "indexed": indexed})
    else:
        out().print(Text(f"{embedded} items embedded, {indexed} in the index"))


def check(config: Config, *, as_json: bool) -> bool:
    """Say where bank, journal and index differ, and return whether they agree."""
    embedder = Embedder(config.memory.embedder)
    with make_bank(config) as bank:
        faults = list(bank.integrity())
        with make_index(config, bank, embedder.name) as index:
            found = index.check()
    if not found.good:
        held = f"the index holds {found.indexed} of {found.stored} vectors"
        faults.append(f"{held} and misses {len(found.lost)}; run: apprentice memory reindex")
    if as_json:
        say_json({"faults": faults, "vectors": found.stored})
    else:
        for fault in faults or [f"bank, journal and index agree on {found.stored} vectors"]:
            out().print(Text(inert(fault)))
    return not faults
