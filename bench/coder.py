"""A model that is scripted, behind an endpoint on loopback: it writes functions with bad habits.

What it knows of each function never changes, and neither do its habits. It drops one only where
its prompt says so: a note in its briefing, an example in it, or a failure that it has just read.
So whatever it gains is what memory brought. As a critic it reads a record and knows no more.
"""

import ast
import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeGuard

from environments.code.humaneval import HumanEval
from environments.seed import derive

CODER = "coder"
CRITIC = "critic"

BEYOND = 8
"""Of so many functions it knows one not at all, whatever it is told."""

TASK = re.compile(r"^Your task is to: write (\w+):", re.MULTILINE)
ADVICE = re.compile(r"^Instead: (.*)$", re.MULTILINE)
QUOTED = re.compile(r"^ *> (.*)$", re.MULTILINE)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
SEEN = re.compile(r"^Step (\d+)(?:, the end,)? saw: (.*)$", re.MULTILINE)
LONGEST_QUOTE = 60  # characters


@dataclass(frozen=True, slots=True, eq=False)
class Habit:
    """One way in which all that it writes goes wrong."""

    name: str
    symptom: str  # what the tests say of it, as a pattern
    cure: str  # words of advice against it, as a pattern
    lesson: Mapping[str, str]  # as a critic words it

    def has(self, entry: str) -> bool:
        """Whether it falls into it at this function; half of all, and never another half."""
        return bool(derive(self.name, entry) % 2)


HELPER = Habit(
    "helper",
    r"NameError",
    r"define every helper",
    {
        "when": "a function is written that calls helpers of its own",
        "fault": "a helper is called that nothing defines",
        "why": "only what stands in the answer is run",
        "instead": "define every helper in the same block, or do without it",
        "unless": "the helper is one of Python's own",
    },
)
PRINTS = Habit(
    "prints",
    r"gave None",
    r"return the result",
    {
        "when": "a function is asked for what it computes",
        "fault": "the result is printed and lost",
        "why": "the tests compare what the call hands back",
        "instead": "return the result of the computation and print nothing",
        "unless": "",
    },
)
TEXT = Habit(
    "text",
    r"gave '",
    r"in its own type",
    {
        "when": "the tests compare with numbers, lists or truth values",
        "fault": "the result is turned into text",
        "why": "a text equals no number and no list",
        "instead": "hand over the result in its own type, never wrapped in str",
        "unless": "the tests compare with text",
    },
)
HABITS = (HELPER, PRINTS, TEXT)
"""In the order in which they show."""


class Coder:
    """What is asked of the endpoint, and what it answers; the same to the same."""

    def __init__(self) -> None:
        problems = HumanEval().problems.values()
        self._known = {each.entry: ast.parse(each.prompt + each.solution) for each in problems}

    def answer(self, request: Mapping[str, Any]) -> str:
        """Return what it says to a chat request."""
        messages = request["messages"]
        if request["model"] != CRITIC:
            return self._program(messages)
        form = request["response_format"]["json_schema"]["name"]
        return json.dumps(critique(messages) if form == "Answer" else {"effects": []})

    def _program(self, messages: Sequence[Mapping[str, str]]) -> str:
        read = [each["content"] for each in messages if each["role"] == "user"]
        entry = TASK.findall(read[0])[-1]  # what memory says comes before the task
        tree = deepcopy(self._known[entry])
        (head,) = (each for each in tree.body if _is_head(each) and each.name == entry)
        habits = {each for each in HABITS if each.has(entry)} - set(dropped(read))
        if not derive("beyond", entry) % BEYOND:
            head.body = [ast.Pass()]
        _Spoiled(habits).spoil(head)
        return f"```python\n{ast.unparse(ast.fix_missing_locations(tree))}\n```"


def dropped(read: Sequence[str]) -> Iterator[Habit]:
    """Give the habits that it drops after it read the briefing with the task, then failures."""
    advice, failures = "\n".join(ADVICE.findall(read[0])), "\n".join(read[1:])
    for habit in HABITS:
        if re.search(habit.cure, advice) or re.search(habit.symptom, failures):
            yield habit
    if any(map(_returns, _examples(read[0]))):
        yield PRINTS


def critique(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return what the critic says of a record: of its last failure that it knows the cause of."""
    told = SEEN.findall(messages[-1]["content"])
    place, saw = told[-1]
    lesson = None
    for at, text in told[1:]:
        for habit in HABITS:
            if re.search(habit.symptom, text):
                place, saw, lesson = at, text, habit.lesson
    cited = {"step": int(place), "quote": saw[:LONGEST_QUOTE]}
    return {"score": -1, "citations": [cited], "hint": "", "lesson": lesson}


class _Spoiled(ast.NodeTransformer):
    """Writes a function as its habits have it."""

    def __init__(self, habits: set[Habit]) -> None:
        self._wraps = [
            name for habit, name in ((TEXT, "str"), (PRINTS, "print")) if habit in habits
        ]
        self._helper = HELPER in habits

    def spoil(self, head: ast.FunctionDef) -> None:
        head.body = [self.visit(each) for each in head.body]
        if self._helper:
            head.body.insert(0, ast.parse("checked()").body[0])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node  # a function within is written as it should be

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value or ast.Constant(None)
        for name in self._wraps:
            value = ast.Call(ast.Name(name, ast.Load()), [value], [])
        return ast.Return(value)


def _examples(text: str) -> Iterator[ast.Module]:
    """Give the programs that are quoted in a text, as far as they are programs."""
    for block in BLOCK.findall("\n".join(QUOTED.findall(text))):
        try:
            yield ast.parse(block)
        except SyntaxError:
            continue


def _returns(tree: ast.Module) -> bool:
    return any(isinstance(each, ast.Return) and each.value is not None for each in ast.walk(tree))


def _is_head(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef)


@contextmanager
def serving() -> Generator[str]:
    """Yield where the API of the endpoint begins; it answers until the context is left."""
    coder = Coder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(_completion(request["model"], coder.answer(request))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def _completion(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
