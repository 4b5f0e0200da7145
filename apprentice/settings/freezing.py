"""Settings as they are written down beside what was begun under them, and read again to go on.

Secrets and places are never written down: they are today's, wherever one goes on.
"""

from typing import TypeVar

from pydantic import ValidationError

from apprentice.settings.config import Config, Section
from environments.errors import UserError

Kept = TypeVar("Kept", bound=Section)

NOT_ACTING = (
    "home", "cache", "store", "endpoint", "memory", "critic", "distill", "gate", "learn", "windows",
    "tracing", "vllm",
)  # fmt: skip
"""Sections that say nothing of how an attempt is acted; a new section does until it is named."""

CHROMA = {"chroma_host", "chroma_port", "chroma_ssl", "chroma_token"}
"""Settings of memory that say where its index is; that may move between two sittings of a run."""


class StaleSettingsError(UserError, ValueError):
    """Settings that another version wrote down, and this one cannot follow."""

    def __init__(self, why: str) -> None:
        super().__init__(f"begun with settings of another version: {why}; begin it anew")


def frozen_settings(config: Config) -> str:
    """Return the settings as JSON without secrets and places, to go on with a run later."""
    places = {"home", "cache", "store", "windows", "tracing", "vllm"}
    secrets = {"endpoint": {"api_key"}, "memory": {"chroma_token"}}
    return config.model_dump_json(exclude={**secrets, **dict.fromkeys(places, True)})


def acting_settings(config: Config, **besides: set[str] | bool) -> str:
    """Return as JSON what decides how an attempt goes, its briefing aside.

    Args:
        config: the settings.
        besides: what else is left out, as pydantic's `exclude` has it.
    """
    return config.model_dump_json(exclude={**dict.fromkeys(NOT_ACTING, True), **besides})


def thaw(settings: str, config: Config) -> Config:
    """Return settings kept by `frozen_settings`, with the secrets and places of today's.

    An endpoint is a place: it may have moved since, or have been too slow for its timeout.

    Raises:
        StaleSettingsError: another version kept them.
    """
    kept = reread(Config, settings)
    endpoint = config.endpoint.model_copy(update={"max_tokens": kept.endpoint.max_tokens})
    server = config.memory.model_dump(include=CHROMA)
    memory = kept.memory.model_copy(update=server)
    places = {"home": config.home, "cache": config.cache, "windows": config.windows}
    places |= {"tracing": config.tracing, "store": config.store, "vllm": config.vllm}
    update = {**places, "endpoint": endpoint}
    return kept.model_copy(update={**update, "memory": memory})


def reread(section: type[Kept], settings: str) -> Kept:
    """Return settings as they were written down.

    Raises:
        StaleSettingsError: they are another version's.
    """
    try:
        return section.model_validate_json(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StaleSettingsError(f"{place!r} is {first['input']!r}, {first['msg']}") from None
