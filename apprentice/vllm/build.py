"""From settings to a policy on vLLM: which weights, which server, which words.

Apart from the other policies, for only those who name it pay for finding a model's tokenizer.
"""

from dataclasses import replace
from pathlib import Path

from agent.endpoints.endpoint import Endpoint
from apprentice.settings.acting import Acting
from apprentice.settings.config import Config, variables
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import Elsewhere, NoVllmError, Server, Start
from apprentice.vllm.version import version_of

LOG = "vllm.log"
"""In the home: all that servers of ours said."""

PYTHON = Path("python")
"""Of a server elsewhere: whatever has vLLM there."""


def make_vllm(config: Config, home: Path, acting: Acting, endpoint: Endpoint) -> VllmPolicy:
    """Return a policy whose server is started, or found, when it is first asked.

    Args:
        config: the settings.
        home: where the server's log goes.
        acting: the model and its adapter.
        endpoint: how to ask; where, and for which weights, is found here.

    Raises:
        NoVllmError: the settings name no server and no way to start one.
        ModelNotFoundError: there is no such model here; its tokenizer is needed.
    """
    from distill.models.models import load_tokenizer
    from distill.sequences.render import Renderer

    if not (config.vllm.url or config.vllm.python):
        raise NoVllmError  # before anything is loaded
    start = start_of(config, home, acting)
    set_by = "vllm.url" if config.vllm.url else "vllm.python"
    endpoint = replace(endpoint, model=start.version.name, base_url=config.vllm.url, set_by=set_by)
    place = Elsewhere(config.vllm.url) if config.vllm.url else Server(start)
    renderer = Renderer(load_tokenizer(acting.folder or start.version.begins))
    return VllmPolicy(start.version, place, endpoint, renderer)


def start_of(config: Config, home: Path, acting: Acting) -> Start:
    """Return how a server of these weights is started.

    Raises:
        ModelNotFoundError: there is no such model here.
    """
    from distill.models.models import resolve

    base = resolve(acting.model, config.cache).absolute()
    return Start(
        python=(config.vllm.python or PYTHON).expanduser(),
        version=version_of(acting, base),
        dtype=config.policy.dtype,
        options=config.vllm.options,
        variables=variables(),
        log=home / LOG,
        patience_s=config.vllm.patience_s,
    )
