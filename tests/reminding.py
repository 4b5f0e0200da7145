"""Memory that always says the same, in place of one that needs an embedding model."""

from dataclasses import replace

from memory.recall.recall import Recollection


class Reminding:
    def __init__(self, words):
        self.words, self.noted, self.splits = words, [], []

    def brief(self, attempts, told):
        for attempt in attempts:
            self.splits.append(attempt.task.split)
            told[attempt.id] = Recollection(
                strategy="worth", choices=(), briefing=self.words, tokens=9, silence=None
            )
            yield replace(attempt, briefing=self.words)

    def note(self, episode, recollection):
        self.noted.append((episode.id, recollection.briefing))
