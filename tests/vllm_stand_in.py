"""A folder on whose path `-m vllm.entrypoints.openai.api_server` is the server of these tests."""

from pathlib import Path


def install_stand_in(folder):
    """Make it, and return the variables of a process that shall find it."""
    package = folder / "site" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text("from vllm_endpoint import main\nmain()\n")
    return {"PYTHONPATH": f"{folder / 'site'}:{Path(__file__).parent}"}
