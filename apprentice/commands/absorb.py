"""`apprentice absorb`: turn kept episodes into demonstrations, lessons and skills."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.text import Text

from agent.absorb import Absorbed, Absorber, Judging, absorb, absorb_skills
from agent.critic import Critic
from agent.evidence_critic import NAME as EVIDENCE
from agent.evidence_critic import EvidenceCritic
from agent.policy import Policy
from apprentice.audits.past import past_policies
from apprentice.audits.sample import name_of
from apprentice.build import make_bank, make_embedder, make_environment, make_judge, make_store, now
from apprentice.config import Config
from apprentice.freezing import thaw
from apprentice.proving import PROOF
from apprentice.terminal import inert, out, say_json
from environments.episode import Episode, Split
from memory.alike import alike
from memory.bank import Bank
from memory.items import Item, Standing


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of the episodes."""

    episodes: Absorbed
    skills: Absorbed

    @property
    def items(self) -> list[Item]:
        return list((self.episodes.items | self.skills.items).values())


def absorb_episodes(config: Config, run: str | None, *, as_json: bool) -> None:
    """Learn from the train episodes that were not absorbed yet, and say what came of it."""
    with make_store(config) as store, make_bank(config) as bank:
        chosen = store.run(run) if run else None
        if chosen is not None:
            config = config.model_copy(
                update={"environment": thaw(chosen.settings, config).environment}
            )
        episodes = list(store.episodes(split=Split.TRAIN, run=chosen and chosen.id))
        learned = asyncio.run(learn_from(config, episodes, bank))
    _say(learned, len(episodes), as_json=as_json)


async def learn_from(config: Config, episodes: Sequence[Episode], bank: Bank) -> Learned:
    """Turn episodes into what memory keeps of them; those absorbed before are passed over.

    What was played to prove a memory is evidence about that one, and teaches nothing else.
    """
    judge = None if config.critic.use == EVIDENCE else make_judge(config)
    by = Absorber(
        bank=bank,
        alike=partial(alike, bank=bank, embedder=make_embedder(config)),
        clock=now,
        environment=make_environment(config),
        critic=_critic(config, judge),
        past=tuple(map(name_of, past_policies(config))),
        hindsight=config.memory.hindsight,
    )
    try:
        told = await absorb((each for each in episodes if not _of_a_proof(each)), by)
        learned = Learned(told, await absorb_skills(by, environment=config.environment.name))
        if config.memory.admission == "off":
            _activate(learned, bank)
        return learned
    finally:
        if judge is not None:
            await judge.close()


def _of_a_proof(episode: Episode) -> bool:
    return episode.run.startswith(f"{PROOF}-")


def _activate(learned: Learned, bank: Bank) -> None:
    """Use everything at once: for experiments that measure what proof is worth."""
    for item in bank.some({item.id for item in learned.items}):
        if item.standing is Standing.CANDIDATE:
            bank.set_standing(item.id, Standing.ACTIVE, "memory.admission is off", now())


def _critic(config: Config, judge: Policy | None) -> Judging | None:
    if config.critic.use == EVIDENCE:
        return EvidenceCritic()
    if judge is None:
        return None
    return Critic(judge, votes=config.critic.votes, seed=config.seed, room=config.critic.room)


def _say(learned: Learned, looked_at: int, *, as_json: bool) -> None:
    told = learned.episodes
    kinds = Counter(type(item).__name__.lower() for item in learned.items)
    skipped = {reason.value: many for reason, many in told.skipped.items() if many}
    rejected = {str(reason): many for reason, many in told.rejections.items() if many}
    if as_json:
        say_json({
            "episodes": looked_at, "items": kinds, "critiques": len(told.critiques),
            "tagged": told.tagged, "skipped": skipped, "rejected": rejected,
        })  # fmt: skip
        return
    console = out()
    made = ", ".join(_counted(many, kind) for kind, many in kinds.items()) or "nothing new"
    critiques = _counted(len(told.critiques), "critique")
    console.print(Text(f"{_counted(looked_at, 'episode')} looked at: {made}, {critiques}"))
    for reason, many in (skipped | rejected).items():
        console.print(Text(inert(f"  {many:>5}  {reason}"), style="dim"))
    console.print("look at them: apprentice skills list; let them prove: apprentice skills prove")


def _counted(many: int, what: str) -> str:
    return f"{many} {what}" if many == 1 else f"{many} {what}s"
