"""One server for all that acts while something is learned: each version is loaded beside the base.

To start a server for every stage and every contender would take a minute each, and an accelerator
holds only one. A LoRA is loaded into a server that runs; a fully trained model never is.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agent.endpoints.endpoint import EndpointError
from apprentice.settings.acting import BASE, VLLM, Acting, Named, find_acting
from apprentice.settings.config import Config
from apprentice.vllm.build import start_of
from apprentice.vllm.server import NoVllmError, Server
from distill.models.trained import Trained
from environments.errors import UserError


class FullTrainingError(UserError, ValueError):
    """Full training, where what is trained should act on a server that runs."""

    def __init__(self, use: str) -> None:
        super().__init__(
            f"{use!r} cannot learn by full training, for a server that runs takes only LoRAs; "
            "set distill.trained to lora, or learn with local[:MODEL]"
        )


@contextmanager
def serving(config: Config, home: Path) -> Generator[Config]:
    """Yield settings under which all policies on vLLM act on one server; ours ends with the block.

    Args:
        config: the settings.
        home: where the log of a server of ours goes.

    Raises:
        FullTrainingError: what is trained could not be loaded.
        NoVllmError: there is neither a server nor a way to start one.
        EndpointError: our server did not start, or ended; what is finished is kept.
    """
    if config.distill.trained is not Trained.LORA:
        raise FullTrainingError(config.policy.use)
    if config.vllm.url:
        yield config
        return
    if not config.vllm.python:
        raise NoVllmError
    model = find_acting(config, Named.parse(config.policy.use)).model
    bare = Acting(VLLM, model, BASE, None)
    server = Server(start_of(config, home, bare))
    try:
        url = asyncio.run(server.open())
        yield config.model_copy(update={"vllm": config.vllm.model_copy(update={"url": url})})
    except EndpointError as error:
        fate = asyncio.run(server.fate())
        if fate and fate not in str(error):
            raise EndpointError(f"{fate}; what is finished is kept; begin again") from error
        raise
    finally:
        asyncio.run(server.close())
