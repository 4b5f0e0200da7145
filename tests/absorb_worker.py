"""A process of its own that absorbs what a store holds: `absorb_worker.py DB FOLDER`.

It says a line for each episode that it learned something from. It embeds by
the words of a text, so that it starts within a second; all else is as it is in use.
"""

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from agent.critics.absorb import Absorber, absorb, absorb_skills
from agent.critics.evidence_critic import EvidenceCritic
from environments.household.household import Household
from index_worker import me
from memory.bank.bank import Bank
from memory.index.embed import embed_missing
from memory.index.index import Index, Which
from memory.making.alike import alike
from memory.store.store import Store

WORLD = Household.generated(train=24, max_receptacles=6)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHICH = Which(model="words", standing=None)


class Words:
    """Texts with the same words are near."""

    name = WHICH.model

    def items(self, texts):
        return np.stack([self.query(text) for text in texts])

    def query(self, text):
        vector = np.full(64, 1e-3, dtype=np.float32)
        for word in text.casefold().split():
            vector[crc32(word.encode()) % 64] += 1
        return vector / np.linalg.norm(vector)


def take_in(path: Path, folder: Path, learned=lambda: None) -> None:
    """Absorb all that the store holds, and bring the index to it."""
    with Store.open(path) as store, Bank.open(path, busy_s=60) as bank:
        by = Absorber(
            bank=bank,
            alike=partial(alike, bank=bank, embedder=Words()),
            clock=lambda: NOON,
            environment=WORLD,
            critic=EvidenceCritic(),
        )
        episodes = sorted(store.episodes(), key=lambda episode: episode.id)
        with Index.embedded(bank, WHICH, folder, me()) as index:
            for episode in episodes:
                if asyncio.run(absorb([episode], by)).items:
                    learned()
                embed_missing(bank, Words())
                index.refresh()
            asyncio.run(absorb_skills(by, environment=WORLD.name))
            embed_missing(bank, Words())
            index.refresh()


def say() -> None:
    sys.stdout.write("learned\n")
    sys.stdout.flush()


if __name__ == "__main__":
    take_in(Path(sys.argv[1]), Path(sys.argv[2]), say)
