"""tau2-bench (Barres et al. 2025, arXiv:2506.07982; MIT): a customer, a policy, and tools that act.

Whoever acts reads the policy of a shop or an airline, talks to a customer and calls tools; what the
tools did to the records, and what the customer was told, decide. The data are in the package, which
NVIDIA repacked (Apache-2.0). Only the domains are imported, not the part that calls models.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.extras import load
from environments.guarded import GuardedPlay
from environments.seed import derive

NAME = "tau2"

User = Callable[[str, tuple[str, ...]], str]
"""Who answers as the customer: given the script, and all that was said, the customer first."""

INSTRUCTIONS = """\
{policy}

# How to act
Answer with one JSON object to call a tool, such as {{"name": "TOOL", "arguments": {{...}}}}; any
other text is said to the customer. When nothing is left to do, call "done".

# Tools
{tools}"""

OPENING = 'A customer is there. Below, "you" is the customer.\n\nYour task is to: {goal}'
GOAL = "do what your policy allows for this customer. {words}"

DEV_SHARE = 5
"""Of the package's own train split every fifth task, in an order that its name decides, is dev."""

GOES_ON = "I have told you all. If what you propose is what I asked for: yes, please do it."
CLOSED = "The conversation is over."
DONE = "done"


@dataclass(frozen=True, slots=True)
class Case:
    """One customer."""

    script: str
    words: str  # how the customer begins
    more: str  # what the script adds when the customer is first answered
    calls: tuple[tuple[str, Mapping[str, object]], ...]  # that lead to the records wanted
    told: tuple[str, ...]  # what the customer must be told


class Desk(Catalogue):
    """Customers of one domain, as an environment."""

    name = NAME

    def __init__(
        self, *, domain: Literal["retail", "airline"] = "retail", user: User | None = None
    ) -> None:
        """Read the records, the policy and the tasks of a domain.

        Args:
            domain: 114 tasks of a shop, or 50 of an airline.
            user: who answers as the customer, such as a model; None: the script does, by rule.
        """
        super().__init__(what="customer", forms=("DOMAIN/NUMBER",))
        load(NAME, "loguru").logger.disable(NAME)  # it tells all that it does
        self._package = load(NAME, f"tau2.domains.{domain}.environment")
        whole = self._package.get_environment()
        self._records = whole.tools.db
        self.instructions = INSTRUCTIONS.format(policy=whole.policy, tools=_tools(whole))
        self._user = user
        self._said: dict[tuple[str, ...], str] = {}
        self._wanted: dict[str, str] = {}
        self._cases: dict[str, Case] = {}
        splits = _splits(self._package.get_tasks_split())
        for listed in self._package.get_tasks():
            id = f"{domain}/{listed.id}"
            self._cases[id] = case = _case(listed)
            goal = GOAL.format(words=case.words)
            split = splits[listed.id]
            self._add(Task(id=id, environment=NAME, split=split, kind=domain, goal=goal))

    def start(self, task: Task) -> "DeskPlay":
        return DeskPlay(self, task, self._cases[task.id])

    def gold(self, task: Task) -> tuple[str, ...]:
        case = self._cases[task.id]
        calls = [json.dumps({"name": name, "arguments": given}) for name, given in case.calls]
        told = [f"For your information: {'; '.join(case.told)}."] if case.told else []
        return (*calls, *told, json.dumps({"name": DONE, "arguments": {}}))

    def office(self) -> Any:  # noqa: ANN401 - the package's own environment
        """Return tools with records of their own, as they were in the morning."""
        return self._package.get_environment(self._records.model_copy(deep=True))

    def wanted(self, id: str) -> str:
        """Return the digest of the records as they should be in the end."""
        if id not in self._wanted:
            office = self.office()
            for name, given in self._cases[id].calls:
                called(office, name, given)
            self._wanted[id] = office.get_db_hash()
        return self._wanted[id]

    def answered(self, case: Case, said: tuple[str, ...]) -> str:
        """Return the customer's answer; the same to the same words, whoever the customer is."""
        if self._user is None:
            first = case.more and len(said) == 2  # noqa: PLR2004 - the opening and one answer to it
            return f"{case.more} {GOES_ON}" if first else GOES_ON
        key = (case.script, *said)
        if key not in self._said:
            self._said[key] = self._user(case.script, said)
        return self._said[key]


class DeskPlay(GuardedPlay):
    """One customer at the desk."""

    waits = True  # for records to be copied and compared, or for a model to answer

    def __init__(self, desk: Desk, task: Task, case: Case) -> None:
        self._desk = desk
        self._task = task
        self._case = case
        self._office: Any = None  # made when a tool is first called
        self._said = (case.words,)
        self._done: list[str] = []
        super().__init__(ongoing(OPENING.format(goal=task.goal)))

    def fork(self) -> "DeskPlay":
        """Return a play that goes on from here by itself; it is led here again."""
        twin = DeskPlay(self._desk, self._task, self._case)
        for action in self._done:
            twin.step(action)
        return twin

    def close(self) -> None:
        super().close()
        self._office = None

    def _after(self, action: str) -> Observation:
        self._done.append(action)
        call = call_in(action)
        if call is None:
            self._said += (action,)
            answer = self._desk.answered(self._case, self._said)
            self._said += (answer,)
            return ongoing(f"The customer: {answer}")
        if call[0] == DONE:
            return solved(CLOSED) if self._right() else failed(CLOSED)
        return ongoing(called(self._opened(), *call))

    def _opened(self) -> Any:  # noqa: ANN401 - see `office`
        if self._office is None:
            self._office = self._desk.office()
        return self._office

    def _right(self) -> bool:
        """Return whether the records are as wanted and the customer was told all, as tau2 asks."""
        told = [text.lower().replace(",", "") for text in self._said[1::2]]
        return all(any(each.lower() in text for text in told) for each in self._case.told) and (
            self._opened().get_db_hash() == self._desk.wanted(self._task.id)
        )


def call_in(text: str) -> tuple[str, Mapping[str, object]] | None:
    r"""Return the tool that a text calls and what it is given, None where it calls none.

    >>> call_in('```json\n{"name": "done", "arguments": {}}\n```')
    ('done', {})
    """
    begin, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[begin : end + 1])
    except ValueError:
        return None
    match found:
        case {"name": str(name), "arguments": dict(given)}:
            return name, given
        case _:
            return None


def called(office: Any, name: str, given: Mapping[str, object]) -> str:  # noqa: ANN401
    """Return what a tool answers; a call that it does not take changes nothing."""
    try:
        if not office.tools.has_tool(name):
            return f"Error: there is no tool {name!r}"
        return str(office.to_json_str(office.make_tool_call(name, **given)))
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is its answer, as in tau2
        return f"Error: {error}"


def _tools(whole: Any) -> str:  # noqa: ANN401 - see `office`
    shown = [tool.openai_schema["function"] for tool in whole.get_tools()]
    shown.append({"name": DONE, "description": "End the conversation.", "parameters": {}})
    return "\n".join(json.dumps(each) for each in shown)


def _splits(theirs: Mapping[str, Sequence[str]]) -> Mapping[str, Split]:
    train = sorted(theirs["train"], key=lambda id: derive(NAME, id))
    return {
        **dict.fromkeys(theirs["test"], Split.TEST),
        **dict.fromkeys(train, Split.TRAIN),
        **dict.fromkeys(train[: len(train) // DEV_SHARE], Split.DEV),
    }


def _case(listed: Any) -> Case:  # noqa: ANN401 - the package's task
    given = listed.user_scenario.instructions
    asked = listed.evaluation_criteria
    return Case(
        script=str(given),
        words=_joined(given.reason_for_call, given.known_info),
        more=_joined(given.unknown_info, given.task_instructions),
        calls=tuple((each.name, each.arguments) for each in asked.actions or ()),
        told=tuple(asked.communicate_info or ()),
    )


def _joined(*parts: str | None) -> str:
    return " ".join(" ".join(part.split()) for part in parts if part)
