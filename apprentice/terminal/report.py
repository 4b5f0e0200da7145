"""What a batch of episodes amounts to, with its uncertainty."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from environments.episode import Ending
from memory.store.records import EpisodeRow

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    policy: str
    episodes: int
    solved: int
    low: float  # Wilson interval of the share solved
    high: float
    mean_steps: float
    steps: int
    prompt_tokens: int
    completion_tokens: int
    endings: dict[str, int]
    steps_per_s: float  # of the whole batch: episodes overlap

    @property
    def share(self) -> float:
        return self.solved / self.episodes if self.episodes else 0.0

    def to_json(self) -> dict[str, object]:
        """Return the summary as JSON-like values."""
        return {**asdict(self), "share": self.share}


def summarize(policy: str, rows: Iterable[EpisodeRow], seconds: float, steps: int) -> Summary:
    """Return the summary of these episodes.

    Args:
        policy: the name of who acted.
        rows: the episodes.
        seconds: wall time in which `steps` of their steps were made.
        steps: those steps; fewer than all where the batch was resumed.
    """
    rows = list(rows)
    endings = Counter(Ending(row.ending).value for row in rows)
    solved = endings[Ending.SOLVED.value]
    low, high = wilson(solved, len(rows))
    total = sum(row.steps for row in rows)
    return Summary(
        policy=policy,
        episodes=len(rows),
        solved=solved,
        low=low,
        high=high,
        mean_steps=total / len(rows) if rows else 0.0,
        steps=total,
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        endings=dict(endings),
        steps_per_s=steps / seconds if seconds else 0.0,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's interval of a proportion, at 95 %; (0, 1) without trials.

    >>> tuple(round(end, 3) for end in wilson(5, 10))
    (0.237, 0.763)
    """
    if not trials:
        return 0.0, 1.0
    from scipy.stats import binomtest  # scipy.stats: 0.6 s, so only who reports pays it

    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
