import asyncio
import sys
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from apprentice.lend import Lent
from apprentice.serve.sessions import Place, Sessions
from environments.episode import Ending
from environments.errors import UserError
from memory.store.store import Store
from reminding import Reminding
from store_worker import MORNING


@pytest.fixture
def memory(tmp_path):
    with Store.open(tmp_path / "store.db") as store:
        place = Place(
            store=store,
            reminder=Reminding("Keys hang by the door."),
            environment="household",
            policy="mine",
            temperature=None,
            clock=lambda: MORNING,
        )
        yield Lent(Sessions(place), Sessions(place))


class Model(GenericFakeChatModel):
    """Remembers what it was shown."""

    shown: list[Any]

    def _generate(self, messages, *rest, **more):
        self.shown.append(messages)
        return super()._generate(messages, *rest, **more)


@pytest.mark.parametrize("call", ["invoke", "ainvoke"])
def test_an_agent_of_langchain_is_briefed_and_kept_by_one_line(memory, call):
    agents = pytest.importorskip("langchain.agents", reason="pip install '.[langchain]'")
    model = Model(messages=iter([AIMessage("By the door.")]), shown=[])
    by_answer = memory.middleware(lambda state: "door" in state["messages"][-1].text)
    agent = agents.create_agent(model, [], system_prompt="Be brief.", middleware=[by_answer])
    asked = {"messages": [("user", "Where is the key?")]}
    answer = getattr(agent, call)(asked)
    ended = asyncio.run(answer) if call == "ainvoke" else answer
    assert [message.type for message in ended["messages"]] == ["human", "ai"]
    assert [message.text for message in model.shown[0]] == [
        "Be brief.\n\nKeys hang by the door.",
        "Where is the key?",
    ]
    (episode,) = memory.sessions._place.store.episodes()
    assert (episode.ending, episode.actions) == (Ending.SOLVED, ("By the door.",))
    assert episode.briefing == "Keys hang by the door."


def test_without_langchain_the_middleware_says_what_to_install(memory, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain.agents.middleware", None)
    monkeypatch.delitem(sys.modules, "agent.guests.middleware", raising=False)
    with pytest.raises(UserError, match=r"pip install '\.\[langchain\]'"):
        memory.middleware(lambda _: True)
