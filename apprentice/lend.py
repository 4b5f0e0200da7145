"""Memory lent to someone's own agent: two functions, which are nodes of a LangGraph as they stand.

    with lent(load({})) as memory:
        graph.add_node("recall", memory.recall)   # before the agent: what fits is in the state
        graph.add_node("report", memory.report)   # after it: the attempt is kept, as it ended

The state needs `messages`, and `solved` once it is known. Nothing of LangGraph is needed here.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent.scripted import RandomPolicy
from apprentice.build import make_rig, now
from apprentice.config import Config
from apprentice.outside import new_id
from apprentice.serve.sessions import Place, Sessions
from apprentice.serve.wire import Asked, Reported, Spoken
from environments.episode import Completion

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
"""LangChain's words for who speaks, in OpenAI's."""

MARK = "apprentice_episode"
"""The key of the state by which `report` finds what `recall` began."""


@dataclass(frozen=True, slots=True)
class Lent:
    """A memory that others ask and tell."""

    sessions: Sessions

    def recall(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return what memory says of the first thing that was asked, as a message more."""
        id = new_id()
        session = self.sessions.begin(_asked(_spoken(state["messages"]), id))
        said = [{"role": "system", "content": session.briefing}] if session.briefing else []
        return {"messages": said, MARK: id}

    def report(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the attempt: each answer of the agent is a step."""
        id = str(state[MARK])
        spoken = _spoken(state["messages"])
        session = self.sessions.begin(_asked(spoken, id))
        for place, each in enumerate(spoken):
            if each.role == "assistant":
                asked = _asked(spoken[:place], id)
                self.sessions.record(session, asked, Completion(text=each.text))
        self.sessions.end(Reported(episode=id, solved=bool(state["solved"])))
        return {}


@contextmanager
def lent(config: Config, *, agent: str = "lent") -> Generator[Lent]:
    """Yield the memory of a home, for an agent of this name; what is open at the end is kept."""
    with make_rig(config, policy=RandomPolicy()) as rig:  # whoever asks acts, not this one
        place = Place(
            store=rig.store,
            reminder=rig.reminder,
            environment=config.environment.name,
            policy=agent,
            temperature=None,
            clock=now,
        )
        sessions = Sessions(place)
        yield Lent(sessions)
        sessions.close()


def _asked(spoken: Sequence[Spoken], id: str) -> Asked:
    return Asked(messages=list(spoken), metadata={"episode": id})


def _spoken(messages: Sequence[Any]) -> list[Spoken]:
    """Return messages of LangChain, or plain ones, as a chat."""
    return [_one(each) for each in messages]


def _one(message: Any) -> Spoken:  # noqa: ANN401 - a message of LangChain, or a plain one
    if isinstance(message, dict):
        return Spoken.model_validate(message)
    return Spoken.model_validate({"role": ROLES[message.type], "content": str(message.text)})
