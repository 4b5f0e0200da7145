"""A model that is never asked the same twice: its answers are kept in a file as they come.

So an audit that was killed goes on after its last answer, and costs what it announced.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from pydantic import TypeAdapter

from agent.policy import Policy
from environments.episode import Completion
from environments.transcript import Turn

KEY_BYTES = 12

_COMPLETION = TypeAdapter(Completion)


class Answers:
    """Asks a policy what the file does not know; close it to let go of both."""

    def __init__(self, policy: Policy, file: Path, clock: Callable[[], float]) -> None:
        """Take the answers in a file, which need not exist.

        Args:
            policy: who is asked; it is closed here.
            file: one answer a line.
            clock: seconds, from any origin.
        """
        self.name = policy.name
        self._policy = policy
        self._clock = clock
        self._known = dict(_read(file))
        self._file = _opened(file)
        self._asking = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self._room = asyncio.Semaphore(policy.width)
        self._began: float | None = None
        self.watch: Callable[[], None] = lambda: None
        self.asked = 0  # since it was opened
        self.characters = 0  # of what it was told since then
        self.seconds = 0.0  # from its first question to its last answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        await self._policy.close()

    @property
    def known(self) -> int:
        return len(self._known)

    async def complete(self, turn: Turn) -> Completion:
        """Return the answer that is known, or ask for it and keep it."""
        key = key_of(self.name, turn)
        async with self._asking[key]:  # who asks the same meanwhile waits for this answer
            if key not in self._known:
                await self._ask(key, turn)
        self.watch()
        return self._known[key]

    async def _ask(self, key: str, turn: Turn) -> None:
        async with self._room:
            self._began = self._clock() if self._began is None else self._began
            said = await self._policy.complete(turn)
        self._keep(key, said)
        self.asked += 1
        self.characters += sum(len(message.text) for message in turn.messages)
        self.seconds = self._clock() - self._began

    def _keep(self, key: str, said: Completion) -> None:
        self._known[key] = said
        line = json.dumps({"key": key, "said": _COMPLETION.dump_python(said, mode="json")})
        self._file.write(line + "\n")
        self._file.flush()


def key_of(name: str, turn: Turn) -> str:
    """Return what an answer is known by: who was told what, could choose what, by which lot."""
    told = [(message.origin.value, message.text) for message in turn.messages]
    said = json.dumps([name, told, turn.admissible, turn.seed])
    return blake2b(said.encode(), digest_size=KEY_BYTES).hexdigest()


def _opened(file: Path) -> TextIO:
    """Open a file to add to it; half a line at its end is taken away first."""
    if file.exists():
        whole = file.read_bytes()
        file.write_bytes(whole[: whole.rfind(b"\n") + 1])
    return file.open("a", encoding="utf-8")


def _read(file: Path) -> list[tuple[str, Completion]]:
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may cut the last
    return [(told["key"], _COMPLETION.validate_python(told["said"])) for told in whole]
