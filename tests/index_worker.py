"""Items with vectors, and processes that write them, or find them and live on.

`index_worker.py write DB PREFIX N` writes; `index_worker.py find DB FOLDER` and `index_worker.py
share DB PORT` say whether they own the index, then answer each line on stdin with what they find.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from zlib import crc32

import numpy as np

from bank_builders import a_lesson
from memory.bank.bank import Bank
from memory.index.chroma import Server, Which
from memory.index.claim import Owner
from memory.index.index import Index
from memory.store.store import Store
from store_worker import MORNING, an_episode

MODEL = "by-hand"
ALL = Which(model=MODEL, standing=None)
WIDTH = 32


def me(since=MORNING):
    return Owner(pid=os.getpid(), host="here", since=since)


def a_vector(text):
    """Return the unit vector that stands for a text in these tests."""
    made = np.random.default_rng(crc32(text.encode())).standard_normal(WIDTH)
    return (made / np.linalg.norm(made)).astype(np.float32)


def a_server(port, token=""):
    return Server(host="127.0.0.1", port=int(port), token=token)


def a_bank(path):
    with Store.open(path) as store:
        store.add(an_episode("e1"))
    return Bank.open(path, busy_s=60)


def fill(bank, prefix, many, *, at_once=25):
    """Add lessons with their vectors, some at a time, and return them."""
    added = []
    for start in range(0, many, at_once):
        whens = [f"{prefix} {n}" for n in range(start, min(many, start + at_once))]
        added.extend(bank.add_all([a_lesson(when=when) for when in whens]))
        fresh = added[-len(whens) :]
        bank.put_vectors(MODEL, {(each.id, each.version): a_vector(each.when) for each in fresh})
    return added


def answer(opened):
    """Answer each line with how many are stored, held, searched for, and lost."""
    with opened as index:
        _say("owner" if index.owned else "reader")
        for _ in sys.stdin:
            index.refresh()
            found = index.check(sample=10_000)
            _say(f"{found.stored} {found.indexed} {found.searched} {len(found.lost)}")


def _say(words):
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main(verb: str, path: str, *more: str) -> None:
    with Bank.open(Path(path), busy_s=60) as bank:
        if verb == "write":
            fill(bank, more[0], int(more[1]))
        elif verb == "share":
            answer(Index.served(bank, ALL, a_server(more[0])))
        else:
            answer(Index.embedded(bank, ALL, Path(more[0]), me(MORNING + timedelta(hours=1))))


if __name__ == "__main__":
    main(*sys.argv[1:])
