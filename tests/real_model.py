"""The real SmolLM2, unpacked once and kept between test runs."""

from pathlib import Path

import pytest

from distill.models.models import DEFAULT_MODEL, resolve


def kept_model(config: pytest.Config) -> Path:
    """Return the folder of the default model; the first call of all unpacks it."""
    assert config.cache is not None
    return resolve(DEFAULT_MODEL, config.cache.mkdir("local-models"))
