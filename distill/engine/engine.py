"""The local policy: many episodes' turns decoded together by one model in this process.

Each turn arrives with its whole transcript and the engine feeds only what its lane does not hold
yet, so the protocol stays stateless and a step costs its new tokens. The model works in a thread
of its own, one tick at a time; meanwhile the event loop runs the environments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import torch

from distill.engine.fallback import Transcripts
from distill.engine.lanes import Feed, Lanes
from distill.engine.sampling import choose, stream
from distill.engine.schedule import Planned, Schedule, Writing
from distill.models.adapters import load_adapter
from distill.models.models import best_device, best_dtype, load_model, load_tokenizer, resolve
from distill.models.weights import is_llama_like
from distill.sequences.render import Renderer
from distill.sequences.trie import grow
from environments.episode import Completion
from environments.errors import ContextFullError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from environments.transcript import Turn

PAUSES = 40
"""Turns of the event loop between ticks: enough for an episode's graph that got its answer to step
its environment and ask again, so that it joins the very next tick. Idle ones cost microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """How the local policy works on this machine."""

    lanes: int = 16  # turns decoded together
    length: int = 4096  # tokens a lane holds; memory is used only as far as transcripts reach
    temperature: float = 1.0  # 0: always the likeliest
    max_tokens: int = 256  # of one completion, where any text is an action
    dtype: torch.dtype | None = None  # None: bfloat16 where it is fast, else float32
    device: torch.device | None = None  # None: CUDA where there is one


class Cache(Protocol):
    """Where transcripts are held and computed: `Lanes`, or `Transcripts` for other models."""

    rewinds: bool  # whether a feed may begin before a lane's end, or with another's first tokens
    length: int

    def pull(self) -> None: ...
    def feed(self, feeds: Sequence[Feed]) -> Tensor: ...
    def logits(self, hidden_RE: Tensor) -> Tensor: ...
    def some_logits(self, hidden_E: Tensor, tokens: Sequence[int]) -> Tensor: ...


class LocalPolicy:
    """Acts with a model in this process; the model may be trained between practices."""

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: LocalSettings = LocalSettings(),
    ) -> None:
        self.name = name
        self.temperature: float | None = settings.temperature
        self.width = settings.lanes
        self.model = model
        self.renderer = Renderer(tokenizer)
        self._settings = settings
        held = Lanes if is_llama_like(model) else Transcripts
        self._cache: Cache = held(model, lanes=settings.lanes, length=settings.length)
        self._schedule = Schedule(settings.lanes, rewinds=self._cache.rewinds)
        self._asked: dict[Writing, asyncio.Future[Completion]] = {}
        self._driver: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @classmethod
    def open(
        cls,
        model: str,
        *,
        cache: Path,
        settings: LocalSettings = LocalSettings(),
        adapter: Path | None = None,
    ) -> Self:
        """Return the policy of a named model, found as `distill.models.models.resolve` says.

        Args:
            model: its name.
            cache: where models are kept ready.
            settings: how it works here.
            adapter: the folder of one made from this model, to act with; it is part of the name.

        Raises:
            UserError: there is no such model, or it cannot be kept in the cache.
        """
        folder = resolve(model, cache)
        device = settings.device or best_device()
        dtype = settings.dtype or best_dtype(device)
        if adapter is None:
            return cls(model, load_model(folder, dtype, device), load_tokenizer(folder), settings)
        loaded = load_adapter(adapter, folder, dtype, device)
        return cls(f"{model}@{adapter.name}", loaded, load_tokenizer(adapter), settings)

    async def complete(self, turn: Turn) -> Completion:
        """Write what comes next, together with whoever else is asking.

        Raises:
            ContextFullError: the transcript does not fit.
        """
        writing = self._begin(turn)
        if self._over(writing):
            return self._completion(writing)
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._asked[writing] = answer
        driver = self._driving()
        try:
            await asyncio.wait((answer, driver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()  # whoever asked is gone; nothing happens to one that is answered
        if answer.cancelled():
            driver.result()  # the model failed: everyone who waits is told
        return answer.result()

    async def close(self) -> None:
        """Stop the model's thread, after the tick it is in."""
        if self._driver is not None:
            self._driver.cancel()
            self._driver = None  # its frame holds this policy, and so the weights
        self._thread.shutdown(wait=True)

    def pull(self) -> None:
        """Act with the model's weights as they are now.

        Raises:
            RuntimeError: turns are being written with the old ones.
        """
        if self._asked:
            raise RuntimeError(f"{len(self._asked)} turns are still being written")
        self._cache.pull()
        self._schedule.forget()

    def _begin(self, turn: Turn) -> Writing:
        prompt = self.renderer.prompt(turn.messages)
        actions = [self.renderer.action(text) for text in turn.admissible]
        needed = len(prompt) + max((len(each) for each in actions), default=1)
        if needed > self._cache.length:
            raise ContextFullError(
                f"the transcript needs {needed} tokens and a lane holds {self._cache.length}: "
                f"raise `length`, take fewer steps, or choose a model with a longer context"
            )
        node = grow(actions) if actions else None
        return Writing(turn.episode, prompt, node, stream(turn.seed))

    def _over(self, writing: Writing) -> bool:
        if writing.node is not None:
            return writing.determined
        if not writing.ids:
            return False
        room = self._cache.length - len(writing.prompt)
        limit = min(self._settings.max_tokens, room)
        return writing.ids[-1] == self.renderer.end or len(writing.ids) >= limit

    def _completion(self, writing: Writing) -> Completion:
        return Completion(
            text=self.renderer.text(writing.ids),
            token_ids=tuple(writing.ids),
            logprobs=tuple(writing.logprobs),
            prompt_tokens=len(writing.prompt),
            completion_tokens=len(writing.ids),
        )

    def _driving(self) -> asyncio.Task[None]:
        if self._driver is None or self._driver.done():
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        return self._driver

    async def _drive(self) -> None:
        """Tick until nobody waits. Only here, and in a tick, is the schedule touched."""
        known: set[Writing] = set()
        try:
            while True:
                for _ in range(PAUSES):
                    await asyncio.sleep(0)
                self._drop([writing for writing, answer in self._asked.items() if answer.done()])
                if not self._asked:
                    return
                self._schedule.waiting += [each for each in self._asked if each not in known]
                known = set(self._asked)
                loop = asyncio.get_running_loop()
                for writing in await loop.run_in_executor(self._thread, self._tick):
                    answer = self._asked.pop(writing)
                    if not answer.done():
                        answer.set_result(self._completion(writing))
        finally:
            self._drop(list(self._asked))

    def _drop(self, writings: Sequence[Writing]) -> None:
        self._schedule.finish(writings)
        for writing in writings:
            del self._asked[writing]

    def _tick(self) -> list[Writing]:
        """Feed every lane its next tokens and choose where a choice is due; return who is done."""
        planned = self._schedule.plan()
        hidden_RE = self._cache.feed([each.feed for each in planned])
        self._choose(planned, hidden_RE)
        finished = [each.writing for each in planned if self._over(each.writing)]
        self._schedule.finish(finished)
        return finished

    def _choose(self, planned: Sequence[Planned], hidden_RE: Tensor) -> None:
        free = [i for i, each in enumerate(planned) if each.complete and each.writing.node is None]
        logits_RV = (
            dict(zip(free, self._cache.logits(hidden_RE[free]), strict=True)) if free else {}
        )
        for i, each in enumerate(planned):
            if not each.complete:
                continue
            node = each.writing.node
            allowed = node.allowed if node is not None else ()
            logits = self._cache.some_logits(hidden_RE[i], allowed) if allowed else logits_RV[i]
            choice = choose(
                logits.double().cpu().numpy(), self._settings.temperature, each.writing.random
            )
            each.writing.append(allowed[choice.index] if allowed else choice.index, choice.logprob)
