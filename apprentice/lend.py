"""Memory lent to someone's own agent: it is recorded as it is, or recalls and reports by itself.

    with lent(load({})) as memory:
        recorder = memory.recorder()              # nothing of the agent is changed
        graph.invoke(state, config={"callbacks": [recorder]})
        recorder.outcome(solved=True)

        graph.add_node("recall", memory.recall)   # or two nodes: what fits is in the state,
        graph.add_node("report", memory.report)   # and the attempt is kept, as it ended

For the nodes the state needs `messages`, and `solved` once it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.guests.heard import Heard, chat_of, turns_of
from agent.scripted import RandomPolicy
from apprentice.build import make_rig, now
from apprentice.serve.outside import new_id
from apprentice.serve.sessions import Place, Sessions
from apprentice.serve.wire import Asked, Reported
from apprentice.settings.config import Config
from environments.episode import Completion, Episode
from environments.errors import UserError

if TYPE_CHECKING:
    from agent.guests.middleware import Remembering
    from agent.guests.recorder import Recorder

MARK = "apprentice_episode"
"""The key of the state by which `report` finds what `recall` began."""


class NothingRecordedError(UserError, LookupError):
    """An outcome of nothing."""

    def __init__(self) -> None:
        super().__init__(
            'nothing was recorded since the last outcome; run the agent with config={"callbacks": '
            "[recorder]} first, then say how it ended"
        )


@dataclass(frozen=True, slots=True)
class Lent:
    """A memory that others ask and tell."""

    sessions: Sessions
    unbriefed: Sessions  # of those who are recorded, and never read what memory says

    def recorder(self, *, kind: str = "") -> Recorder:
        """Return a callback that records the runs it is passed to, until their outcome is said.

        Args:
            kind: the task type, by which what is learned is found again; empty: none.
        """
        from agent.guests.recorder import Recorder  # LangChain: half a second

        return Recorder(_Keeping(self.unbriefed, kind))

    def middleware(self, solved: Callable[[Mapping[str, Any]], bool]) -> Remembering:
        """Return recalling and reporting as a middleware of LangChain's `create_agent`.

        Args:
            solved: whether the task was, judged by the state that the agent ended with.
        """
        from agent.guests.middleware import Remembering

        return Remembering(self.begin, self.report, solved)

    def begin(self, messages: Sequence[Any]) -> tuple[str, str]:
        """Begin an attempt at what is asked first; return its id, and what memory says before."""
        id = new_id()
        return id, self.sessions.begin(_asked(chat_of(messages), id)).briefing

    def recall(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return what memory says of the first thing that was asked, as a message more."""
        id, briefing = self.begin(state["messages"])
        said = [{"role": "system", "content": briefing}] if briefing else []
        return {"messages": said, MARK: id}

    def report(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the attempt: each answer of the agent is a step."""
        id = str(state[MARK])
        session = self.sessions.begin(_asked(chat_of(state["messages"]), id))
        for chat, written in turns_of(state["messages"]):
            self.sessions.record(session, _asked(chat, id), written)
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
        memory = Lent(Sessions(place), Sessions(replace(place, reminder=None)))
        try:
            yield memory
        finally:
            memory.sessions.close()
            memory.unbriefed.close()


@dataclass(slots=True)
class _Keeping:
    """Where the steps of one recorder go: to an open episode, and after its outcome to the next."""

    sessions: Sessions
    kind: str
    id: str = field(default_factory=new_id)
    steps: int = 0

    def record(self, chat: Sequence[Heard], written: Completion) -> None:
        asked = _asked(chat, self.id, self.kind)
        self.sessions.record(self.sessions.begin(asked), asked, written)
        self.steps += 1

    def broke(self, error: str) -> None:
        self.sessions.broke(self.id, error)

    def end(self, *, solved: bool, reward: float | None, note: str) -> Episode:
        if not self.steps:
            raise NothingRecordedError
        reported = Reported(episode=self.id, solved=solved, reward=reward, note=note)
        self.id, self.steps = new_id(), 0
        return self.sessions.end(reported)


def _asked(chat: Sequence[Heard], id: str, kind: str = "") -> Asked:
    marks = {"episode": id, "kind": kind}
    return Asked.model_validate({"messages": list(chat), "metadata": marks})
