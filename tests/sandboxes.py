"""Whether code can be shut in on this machine; else such tests skip and say why."""

import pytest

from environments.sandbox.bubblewrap import SandboxError
from environments.sandbox.sandbox import try_out


def _why_not() -> str:
    try:
        try_out()
    except SandboxError as error:
        return str(error)
    return ""


WHY_NOT = _why_not()

needs_sandbox = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it is here")
