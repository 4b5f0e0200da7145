"""A policy on a vLLM server, as exact as the local one: token by token, choice by choice.

The prompt is sent as the tokens that training renders. Where there are actions to choose from, the
policy walks their trie itself and asks for one decision at a time among the tokens that it allows,
so what is recorded is what is trained on; forced tokens are not asked for. One request a turn would
do with a grammar, but a grammar over letters writes other tokens ("look" as "l", "oo", "k"), and
one over tokens is wrong now and then (xgrammar 0.2.8 gives a place the mask of another).
Where the server computes other numbers than the trainer, `distill.training.mismatch` says by how
much.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from agent.endpoints.client import Client
from agent.endpoints.endpoint import Endpoint, EndpointError
from apprentice.vllm.server import Place
from apprentice.vllm.version import Version
from distill.sequences.render import Renderer
from distill.sequences.trie import Node, forced, grow
from environments.episode import Completion
from environments.seed import derive
from environments.transcript import Turn

PLAIN: dict[str, Any] = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampled from the whole distribution, whatever the server's own taste is: what is not, cannot be
trained on."""

ROUNDING = 1e-4  # nats that a certain token may be short of 0


class VllmPolicy:
    """Many coroutines may ask at once; the server batches them."""

    def __init__(
        self, version: Version, place: Place, endpoint: Endpoint, renderer: Renderer
    ) -> None:
        self.renderer = renderer
        self.temperature = endpoint.temperature
        self.width = endpoint.width
        self._version = version
        self._place = place
        self._endpoint = endpoint
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._version.policy

    async def complete(self, turn: Turn) -> Completion:
        """Write the next message of the turn's transcript; the answer carries who wrote it.

        Raises:
            EndpointError: the server did not answer, after all retries.
            ContextFullError: the transcript does not fit.
        """
        version = self._version  # this turn ends with the weights that it began with
        prompt = self.renderer.prompt(turn.messages)
        if turn.admissible:
            root = grow(map(self.renderer.action, turn.admissible))
            return await self._chosen(version, prompt, turn.seed, root)
        held = {"stop_token_ids": [self.renderer.end]}
        written = await self._written(version, prompt, turn.seed, held)
        return replace(written, text=self.renderer.text(written.token_ids))

    async def adopt(self, version: Version) -> None:
        """Act with other weights from the next turn on; those under way keep theirs.

        Args:
            version: a LoRA beside the same beginning, or that beginning itself.

        Raises:
            EndpointError: the server does not take it.
        """
        if version.begins != self._version.begins:
            raise EndpointError(
                f"a server of {self._version.served!r} cannot act as {version.name!r}, "
                "which is a model of its own; start another server for it"
            )
        await self._serve(await self._opened(), version)
        self._version = version

    async def close(self) -> None:
        """Leave the server, or end it if it is ours."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await self._place.close()

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                address = await self._place.open()
                client = Client(replace(self._endpoint, base_url=address))
                try:
                    await self._serve(client, self._version)
                    await self._try_out(client)
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    async def _serve(self, client: Client, version: Version) -> None:
        """Have the version served, unless it is."""
        served = await client.models()
        if version.name in served:
            return
        if version.lora is None:
            raise EndpointError(
                f"{self._endpoint.set_by} serves {', '.join(served)}, not {version.name!r}; "
                f"start it with --served-model-name {version.name}"
            )
        try:
            await client.load(version.name, str(version.lora))
        except EndpointError:
            if version.name not in await client.models():  # another process was faster
                raise

    async def _try_out(self, client: Client) -> None:
        """Check that logprobs are of what was sampled from: a token without rivals has 0."""
        (sure, *_) = self.renderer.action("look")
        told = await self._asked(client, self._version, (sure,), 0, _one_of((sure,)))
        if max(map(abs, told.logprobs)) > ROUNDING:
            raise EndpointError(
                f"{self._endpoint.set_by} tells the model's logprobs, not those that it sampled "
                "from; start the server with --logprobs-mode processed_logprobs"
            )

    async def _chosen(
        self, version: Version, prompt: Sequence[int], seed: int, root: Node
    ) -> Completion:
        """Return one of the actions of a trie, chosen decision by decision."""
        tokens, node = forced(root)
        ids, logprobs = list(tokens), [0.0] * len(tokens)
        while node.after:
            here = derive(seed, len(ids))  # the same one would repeat its luck at every decision
            written = await self._written(version, (*prompt, *ids), here, _one_of(node.allowed))
            (token,) = written.token_ids
            if token not in node.after:
                raise EndpointError(
                    f"{version.name!r} wrote the token {token}, which is none of those that it was "
                    "held to; the server must be vLLM, with the model's own tokenizer"
                )
            tokens, node = forced(node.after[token])
            ids += (token, *tokens)
            logprobs += (*written.logprobs, *(0.0 for _ in tokens))
        return Completion(
            text=self.renderer.text(ids),
            token_ids=tuple(ids),
            logprobs=tuple(logprobs),
            prompt_tokens=len(prompt),
            completion_tokens=len(ids),
            version=version.name,
        )

    async def _written(
        self, version: Version, ids: Sequence[int], seed: int, held: Mapping[str, Any]
    ) -> Completion:
        client = await self._opened()
        try:
            return await self._asked(client, version, ids, seed, held)
        except EndpointError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                fate = await self._place.fate() if _lost(error) else ""
                if fate:
                    raise EndpointError(fate) from error
                raise
        await self._serve(client, version)  # the server was started again, and knows it no more
        return await self._asked(client, version, ids, seed, held)

    async def _asked(
        self,
        client: Client,
        version: Version,
        ids: Sequence[int],
        seed: int,
        held: Mapping[str, Any],
    ) -> Completion:
        written = await client.go_on(version.name, ids, seed, {**PLAIN, **held})
        if written.version != version.name:
            raise EndpointError(f"{version.name!r} was asked, and {written.version!r} answered")
        return written


def _one_of(allowed: Sequence[int]) -> dict[str, Any]:
    """Return vLLM's options for one token among some."""
    return {"allowed_token_ids": list(allowed), "max_tokens": 1}


def _lost(error: EndpointError) -> bool:
    """Whether the server may be no more: it said nothing, or that it has failed."""
    return error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
