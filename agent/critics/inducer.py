"""A better name and purpose for a procedure: the only two things about a skill that a model words.

What it does was induced from demonstrations and stays; a wording that is not fit to be found or
exported is dropped and counted.
"""

from collections import Counter
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from agent.endpoints.endpoint import ReplyError
from agent.endpoints.structured import Writer, ask
from environments.seed import derive
from environments.transcript import Message, Origin
from memory.knowledge.admission import refusal
from memory.knowledge.items import Skill
from memory.making.abstract import lint

LONGEST_PURPOSE = 300  # characters: one or two sentences, read before every task it is recalled for

INDUCER = "You name procedures so that an agent finds the one that it needs."
REQUEST = """This procedure worked several times. {purpose}
{precondition}
{procedure}

Give:
- name: two to five words in lower case, joined by hyphens, such as "cool-and-place".
- purpose: one sentence that says what it does and when to use it, naming no particular thing."""


class Wording(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str
    purpose: str


async def word(
    skill: Skill, writer: Writer, *, seed: int, rejections: Counter[str] | None = None
) -> Skill:
    """Return the skill in the writer's words, or as it was where they are unfit.

    Args:
        skill: an induced one.
        writer: any policy.
        seed: all the randomness of the answer.
        rejections: counts why wordings were dropped.
    """
    dropped = Counter[str]() if rejections is None else rejections
    request = REQUEST.format(
        purpose=skill.purpose,
        precondition=skill.precondition,
        procedure="\n".join(f"{place}. {step}" for place, step in enumerate(skill.procedure, 1)),
    )
    told = (Message(Origin.SYSTEM, INDUCER), Message(Origin.TASK, request))
    about = f"{skill.environment}/{skill.name}/inducer"
    try:
        wording = await ask(writer, told, Wording, seed=derive(seed, about), about=about)
    except ReplyError:
        dropped["no answer in the form asked for"] += 1
        return skill
    worded = replace(
        skill,
        name=wording.name.strip(),
        purpose=wording.purpose.strip(),
        source=replace(skill.source, critic=writer.name),
    )
    if (reason := _unfit(worded)) is not None:
        dropped[reason] += 1
        return skill
    return worded


def _unfit(skill: Skill) -> str | None:
    if len(skill.purpose) > LONGEST_PURPOSE:
        return "purpose too long"
    if not skill.purpose.isprintable():
        return "purpose is no text of one line"
    if lint(skill):
        return "names a particular thing"
    return "cannot be stored" if refusal(skill) else None
