"""An episode as the messages the policy read and wrote, each marked with who wrote it.

Acting and training both start here, so there is one place to get it right: the loss mask is
`origin is POLICY`, and internalising memory is leaving out `origin is MEMORY`. A transcript only
grows: that of n steps is a prefix of that of n + 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from environments.episode import Episode, Step

NOT_AN_ACTION = "Nothing happens."
"""What a policy reads after a completion that held no legal action (ALFWorld's own words)."""


class Origin(StrEnum):
    """Who wrote a message."""

    SYSTEM = "system"  # the environment's rules
    MEMORY = "memory"  # the briefing
    TASK = "task"  # the first observation, which states the goal
    ENVIRONMENT = "environment"  # every later observation
    POLICY = "policy"
    CRITIQUE = "critique"


@dataclass(frozen=True, slots=True)
class Message:
    origin: Origin
    text: str
    token_ids: tuple[int, ...] = ()  # the policy's own tokens as sampled; empty: tokenise the text

    @property
    def role(self) -> str:
        """Return the chat role: system, assistant or user."""
        if self.origin is Origin.SYSTEM:
            return "system"
        return "assistant" if self.origin is Origin.POLICY else "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """All that a policy is given to act once."""

    messages: tuple[Message, ...]
    admissible: tuple[str, ...] = ()  # choose one of these; empty: any text
    seed: int  # all the randomness of this turn comes from here
    episode: str  # whose turn it is; a policy may keep a cache for it


def opening(instructions: str, briefing: str, observation: str) -> tuple[Message, ...]:
    """Return the messages before the first action; an empty briefing leaves no trace."""
    memory = (Message(Origin.MEMORY, briefing),) if briefing else ()
    return (Message(Origin.SYSTEM, instructions), *memory, Message(Origin.TASK, observation))


def exchange(step: Step, answer: str) -> tuple[Message, Message]:
    """Return what the policy wrote in a step and what it read next."""
    completion = step.completion
    return (
        Message(Origin.POLICY, completion.text, completion.token_ids),
        Message(Origin.ENVIRONMENT, answer),
    )


def transcript(
    instructions: str, briefing: str, steps: Sequence[Step], observation: str
) -> tuple[Message, ...]:
    """Return all messages up to and including `observation`, which follows the last step."""
    seen = [*(step.observation for step in steps), observation]
    grown: Iterable[Message] = (
        message
        for step, answer in zip(steps, seen[1:], strict=True)
        for message in exchange(step, answer)
    )
    return (*opening(instructions, briefing, seen[0]), *grown)


def retell(episode: Episode, instructions: str, *, briefed: bool = True) -> tuple[Message, ...]:
    """Return the transcript of a finished episode, with or without what memory said."""
    briefing = episode.briefing if briefed else ""
    return transcript(instructions, briefing, episode.steps, episode.closing)
