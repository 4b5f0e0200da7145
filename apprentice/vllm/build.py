"""From settings to a policy on vLLM: which weights, which server, which words.

Apart from the other policies, for only those who name it pay for finding a model's tokenizer.
"""

from pathlib import Path

from apprentice.acting import Acting
from apprentice.config import Config, variables
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import Elsewhere, NoVllmError, Place, Server, Start
from apprentice.vllm.version import Version, version_of

LOG = "vllm.log"
"""In the home: all that servers of ours said."""

STARTED = "vllm.python"
"""The setting that a server of our own comes from, for advice."""


def make_vllm(config: Config, home: Path, acting: Acting) -> VllmPolicy:
    """Return a policy whose server is started, or found, when it is first asked.

    Args:
        config: the settings.
        home: where the server's log goes.
        acting: the model and its adapter.

    Raises:
        NoVllmError: the settings name no server and no way to start one.
        ModelNotFoundError: there is no such model here; its tokenizer is needed.
    """
    from agent.endpoint import Endpoint
    from distill.models import load_tokenizer, resolve
    from distill.render import Renderer

    if not (config.vllm.url or config.vllm.python):
        raise NoVllmError  # before anything is loaded
    base = resolve(acting.model, config.cache).absolute()
    version = version_of(acting, base)
    endpoint = Endpoint(
        model=version.name,
        base_url=config.vllm.url,
        api_key=config.endpoint.api_key.get_secret_value() or "EMPTY",
        temperature=config.policy.temperature,
        max_tokens=config.endpoint.max_tokens,
        timeout_s=config.endpoint.timeout_s,
        retries=config.endpoint.retries,
        width=config.policy.width,
        set_by="vllm.url" if config.vllm.url else STARTED,
    )
    renderer = Renderer(load_tokenizer(acting.folder or base))
    return VllmPolicy(version, _place(config, home, version), endpoint, renderer)


def _place(config: Config, home: Path, version: Version) -> Place:
    if config.vllm.url:
        return Elsewhere(config.vllm.url)
    assert config.vllm.python is not None
    return Server(
        Start(
            python=config.vllm.python.expanduser(),
            version=version,
            dtype=config.policy.dtype,
            options=config.vllm.options,
            variables=variables(),
            log=home / LOG,
            patience_s=config.vllm.patience_s,
        )
    )
