"""From kept episodes to memory, as the settings say: critics, likeness and proof put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from agent.critics.absorb import Absorbed, Absorber, Judging, absorb, absorb_skills
from agent.critics.critic import Critic
from agent.critics.evidence_critic import NAME as EVIDENCE
from agent.critics.evidence_critic import EvidenceCritic
from agent.policy import Policy
from apprentice.build import make_embedder, make_environment, make_judge, now
from apprentice.findings.past import past_policies
from apprentice.findings.sample import name_of
from apprentice.gate.proving import PROOF
from apprentice.settings.config import Config
from environments.environment import Environment
from environments.episode import Episode
from memory.bank.bank import Bank
from memory.knowledge.items import Item, Standing
from memory.making.alike import alike


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of the episodes."""

    episodes: Absorbed
    skills: Absorbed

    @property
    def items(self) -> list[Item]:
        return list((self.episodes.items | self.skills.items).values())

    @property
    def new(self) -> list[Item]:
        return [item for item in self.items if item.id not in self.skills.unchanged]


async def learn_from(config: Config, episodes: Sequence[Episode], bank: Bank) -> Learned:
    """Turn episodes into what memory keeps of them; those absorbed before are passed over.

    What was played to prove a memory is evidence about that one, and teaches nothing else.
    """
    return await learn_in(config, episodes, bank, make_environment(config))


async def learn_in(
    config: Config, episodes: Sequence[Episode], bank: Bank, world: Environment | None
) -> Learned:
    """Do the same where the world is open already; None: what was solved cannot be played again."""
    judge = None if config.critic.use == EVIDENCE else make_judge(config)
    by = Absorber(
        bank=bank,
        alike=partial(alike, bank=bank, embedder=make_embedder(config)),
        clock=now,
        environment=world,
        critic=_critic(config, judge),
        past=tuple(map(name_of, past_policies(config))),
        hindsight=config.memory.hindsight,
    )
    try:
        told = await absorb((each for each in episodes if not _of_a_proof(each)), by)
        learned = Learned(told, await absorb_skills(by, environment=config.environment.name))
        if config.memory.admission == "off":
            _activate(learned, episodes, bank)
        return learned
    finally:
        if judge is not None:
            await judge.close()


def _of_a_proof(episode: Episode) -> bool:
    return episode.run.startswith(f"{PROOF}-")


def _activate(learned: Learned, episodes: Iterable[Episode], bank: Bank) -> None:
    """Use everything at once: for experiments that measure what proof is worth.

    Also what was stored before a kill, and is absorbed already for whoever goes on.
    """
    made = {item.id for item in learned.items}
    lived = {episode.id for episode in episodes}
    for item in bank.items(standing=Standing.CANDIDATE):
        if item.id in made or not lived.isdisjoint(item.source.episodes):
            bank.set_standing(item.id, Standing.ACTIVE, "memory.admission is off", now())


def _critic(config: Config, judge: Policy | None) -> Judging | None:
    if config.critic.use == EVIDENCE:
        return EvidenceCritic()
    if judge is None:
        return None
    return Critic(judge, votes=config.critic.votes, seed=config.seed, room=config.critic.room)
