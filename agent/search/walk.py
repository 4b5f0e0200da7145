"""Going on from some moment of a play: one option, or all the way to an end."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from agent.attempt import Attempt, Limits
from agent.play.graph import ending, read
from agent.policy import Policy
from agent.search.critics import Critics
from agent.search.tree import Branch
from environments.choose import choose
from environments.environment import Environment, Forkable, Observation, Play
from environments.episode import Ending, Step
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import Turn, transcript
from environments.untried import repeats_lead_nowhere, untried

Stop = Callable[[Sequence[Step], Observation], bool]
"""(the steps of an option so far, what is seen now) -> whether the option ends here"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all searches of one run share."""

    environment: Environment
    policy: Policy  # proposes options
    fast: Policy  # rolls out; may be cheaper
    critics: Critics
    limits: Limits  # of steps and tokens: of each branch; of seconds: of the whole search
    stop: Stop | None = None  # None: an option is as long as the settings let it be

    @property
    def repeats(self) -> bool:
        """Return whether an action may be taken again where everything looks as it did before."""
        said = self.limits.repeat
        return not repeats_lead_nowhere(self.environment) if said is None else said


@dataclass(slots=True)
class Spent:
    """What a search, or a part of it, has cost."""

    steps: int = 0  # simulated
    turns: int = 0  # completions asked for
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, other: "Spent") -> None:
        self.steps += other.steps
        self.turns += other.turns
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens


@dataclass(slots=True, kw_only=True, eq=False)
class Walk:
    """A play that is gone on with, and all that was done in it."""

    scene: Scene
    attempt: Attempt
    lane: str  # whose turns these are to the policy: it may keep a cache for them
    play: Play
    steps: list[Step]
    left: int  # steps it may still simulate
    ending: Ending | None = None  # limits included
    spent: Spent = field(default_factory=Spent)

    @property
    def going(self) -> bool:
        return self.ending is None and self.left > 0

    @property
    def branch(self) -> Branch:
        closing = read(self.steps, self.play.observation)
        return Branch(self.attempt.task, tuple(self.steps), closing, self.ending)

    async def think(
        self, policy: Policy, seed: int, but: Collection[str | None] = ()
    ) -> Step | None:
        """Return the step that the policy would take now, not taken; None: it has no room.

        Args:
            policy: who is asked.
            seed: of its chance.
            but: actions that it may not choose, as long as there are others.
        """
        now = self.play.observation
        seen = read(self.steps, now)
        instructions = self.scene.environment.instructions
        admissible = now.admissible
        if not self.scene.repeats:
            admissible = untried(seen, admissible, self.steps)
        turn = Turn(
            messages=transcript(instructions, self.attempt.briefing, self.steps, seen),
            admissible=tuple(each for each in admissible if each not in but) or admissible,
            seed=seed,
            episode=self.lane,
        )
        try:
            said = await policy.complete(turn)
        except ContextFullError:
            self.ending = Ending.TRUNCATED
            return None
        self.spent.turns += 1
        self.spent.prompt_tokens += said.prompt_tokens
        self.spent.completion_tokens += said.completion_tokens
        action = choose(said.text, admissible)
        return Step(observation=seen, admissible=admissible, completion=said, action=action)

    def ahead(self) -> "Walk":
        """Return a walk that goes on from here by itself, with what is left to simulate."""
        return replace(self, play=fork(self.play), steps=list(self.steps), spent=Spent())

    def act(self, thought: Step) -> None:
        """Take a step; one without a legal action changes nothing, and costs as much."""
        reward = 0.0 if thought.action is None else self.play.step(thought.action).reward
        self.steps.append(replace(thought, reward=reward))
        self.left -= 1
        self.spent.steps += 1
        self.ending = ending(self.play.observation, self.steps, 0.0, self.scene.limits)

    async def to_an_end(self, policy: Policy, seed: int) -> None:
        """Go on until the branch is over, or no step is left to simulate."""
        while self.going:
            thought = await self.think(policy, derive(seed, len(self.steps)))
            if thought is not None:
                self.act(thought)


def fork(play: Play) -> Play:
    """Return a copy of a play that can be copied."""
    assert isinstance(play, Forkable)
    return play.fork()
