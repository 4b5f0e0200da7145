"""A shopping list on an MCP server, and who says whether a thing was bought."""

from mcp.server import MCPServer

from environments.bridges.mcp_tools import Attempt

SERVER = """
import os
from mcp.server import MCPServer

server = MCPServer(name="shop", instructions="A shopping list.")
listed = []

@server.tool()
def add(thing: str, count: int = 1) -> str:
    \"\"\"Put a thing on the list.

    It is bought later.\"\"\"
    listed.append(thing)
    return f"{len(listed)} on the list"

@server.tool()
def read() -> str:
    \"\"\"Read the list.\"\"\"
    return ", ".join(listed) + f" (process {os.getpid()})" * bool(os.environ.get("TELL"))

@server.tool()
def burn() -> str:
    os._exit(3)
"""


def shop() -> MCPServer:
    """Return a server of its own in this process."""
    namespace: dict[str, MCPServer] = {}
    exec(SERVER, namespace)
    return namespace["server"]


def bought(attempt: Attempt) -> float:
    return float(attempt.task.goal.split()[1] in attempt.ask("read"))
