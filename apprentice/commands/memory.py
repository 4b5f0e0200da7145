"""`apprentice memory`: keep the bank, its journal and its index in agreement."""

from rich.text import Text

from apprentice.agreement import compare
from apprentice.build import make_bank, make_embedder, make_index
from apprentice.settings.config import Config
from apprentice.terminal.terminal import inert, out, say_json
from memory.index.embed import embed_missing

EXIT_DIFFERS = 1


def reindex(config: Config, *, as_json: bool) -> None:
    """Embed what has no vector yet, and make the index again from SQL alone."""
    embedder = make_embedder(config)
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
    with make_bank(config) as bank:
        faults = list(bank.integrity())
    found = compare(config)
    if not found.found.good:
        faults.append(found.words())
    if as_json:
        say_json({"faults": faults, "vectors": found.found.stored, "waiting": found.unembedded})
    else:
        for line in faults or [f"bank and journal agree; {found.words()}"]:
            out().print(Text(inert(line)))
    return not faults
