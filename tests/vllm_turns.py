"""Turns that are asked of a policy on a vLLM server, for tests."""

import asyncio
from pathlib import Path

from agent.endpoints.endpoint import Endpoint
from apprentice.vllm.version import Version
from environments.transcript import Turn, opening
from learning import MOVES, RULES

BASE = Version(name="tiny", policy="vllm:tiny", served="tiny", begins=Path("/models/tiny"))
SEEN = "There is a door here"


def endpoint(**changes):
    plain = {"retries": 0, "timeout_s": 5.0, "temperature": 1.0, "set_by": "vllm.url"}
    return Endpoint(model="tiny", base_url="", **plain | changes)


def a_turn(seed=0, admissible=MOVES):
    messages = opening(RULES, "", SEEN)
    return Turn(messages=messages, admissible=admissible, seed=seed, episode="e")


def answers(policy, *turns):
    async def all_of_them():
        try:
            return await asyncio.gather(*map(policy.complete, turns))
        finally:
            await policy.close()

    return asyncio.run(all_of_them())
