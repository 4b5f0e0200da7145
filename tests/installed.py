"""Worlds whose packages may be installed; else their tests skip and say how to install them."""

import pytest

from environments.extras import missing


def needs(environment: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        bool(missing(environment)),
        reason=f"pip install --constraint constraints.txt '.[{environment}]'",
    )
