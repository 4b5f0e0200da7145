"""Worlds whose packages may be installed; else their tests skip and say how to install them."""

import pytest

from environments.extras import missing


def needs(environment: str) -> pytest.MarkDecorator:
    lacking = missing(environment)
    return pytest.mark.skipif(
        bool(lacking), reason=f"pip install {' '.join(lacking)}, or run: make slow"
    )
