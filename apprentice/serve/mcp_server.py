"""Memory for other agents over MCP: they search it, read it, report how it went, propose lessons.

What they are told is active, so it has proven itself; what they propose is a candidate that has to.
Nothing that they say is believed: an outcome is their own word, and is kept as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from mcp.server import MCPServer
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import RequestParams

from apprentice.serve.outside import Outcome, attempt_of
from environments.anchor import Anchor
from environments.errors import UnknownNameError, UserError
from memory.bank.bank import Bank
from memory.knowledge import skill_md
from memory.knowledge.items import Item, Lesson, Recalled, Source, Standing
from memory.proof.credit import credit
from memory.store.store import Store

MOST = 20
"""Skills that one search returns: an agent reads them all."""

SKILLS = "io.modelcontextprotocol/skills"
"""The extension by which skills travel over MCP (SEP-2640, 2026-09-13)."""

VERSION = frozenset({"2026-07-28"})
"""The protocol that the extension is defined on."""

INSTRUCTIONS = """What an agent learned from its own attempts, each with what it did for success.
Search before a task, read what fits, and afterwards report whether the task was solved and with
which skills. A lesson you propose becomes a candidate: it is used once it has proven itself."""


@dataclass(frozen=True, slots=True)
class Library:
    """What is served, and the time."""

    store: Store
    bank: Bank
    environment: str  # the world that proposals are of
    clock: Callable[[], datetime]

    def active(self) -> list[Item]:
        return self.bank.items(standing=Standing.ACTIVE)

    def named(self, name: str) -> Item:
        """Return the active item of this name or id.

        Raises:
            UnknownNameError: there is none.
        """
        items = {skill_md.name_of(item): item for item in self.active()}
        by_id = {item.id: item for item in items.values()}
        if name not in items and name not in by_id:
            raise UnknownNameError("skill", name, tuple(items)[:MOST])
        return items.get(name) or by_id[name]

    def search(self, words: str, kind: str, limit: int) -> list[dict[str, Any]]:
        """Return the active items that fit the words best, best first."""
        filters: dict[str, Any] = {"standing": Standing.ACTIVE, "kind": kind or None}
        best = [id for id, _ in self.bank.search_text(words, min(limit, MOST), **filters)]
        found = {item.id: item for item in self.bank.some(best)}
        return [self.told(found[id]) for id in best]

    def told(self, item: Item) -> dict[str, Any]:
        """Return an item in short, with what it did for success."""
        earned = credit(item.id, self.bank.uses(item.id))
        uplift = earned.uplift
        return {
            "name": skill_md.name_of(item),
            "id": item.id,
            "description": _front(item)["description"],
            "kind": item.kind,
            "uses": earned.uses,
            "uplift": uplift.estimate,
            "uplift_interval": [uplift.interval.low, uplift.interval.high],
            "uri": f"skill://{skill_md.name_of(item)}/SKILL.md",
        }

    def report(self, outcome: Outcome, skills: Sequence[str]) -> str:
        """Keep how a task went and with what; return the id of the episode."""
        items = [self.named(name) for name in skills]
        episode = attempt_of(outcome, self.environment, at=self.clock())
        self.store.add(episode)
        self.bank.log_uses(
            [
                Recalled(
                    item=item.id,
                    version=item.version,
                    episode=episode.id,
                    shown=True,
                    propensity=1.0,  # nobody drew a lot: it counts for worth, never for uplift
                    at=self.clock(),
                )
                for item in items
            ],
            by=outcome.by,
        )
        return episode.id

    def propose(self, lesson: Mapping[str, str], episode: str, by: str) -> Item:
        """Keep a lesson as a candidate; the model that proposes it is trusted least of all."""
        source = Source.of(
            self.store.get(episode), critic=by, anchor=Anchor.SELF, made=self.clock()
        )
        item = Lesson(
            environment=self.environment,
            kind=lesson["kind"],
            when=lesson["when"],
            fault=lesson["fault"],
            why=lesson["why"],
            instead=lesson["instead"],
            unless=lesson["unless"],
            critique="",
            source=source,
        )
        return self.bank.add(item, by=by, why="proposed over MCP")


def create_server(library: Library) -> MCPServer:
    """Return the server of a library, whatever carries its messages."""
    server = MCPServer(
        name="apprentice", instructions=INSTRUCTIONS, extensions=[SkillsOverMcp(library)]
    )
    _add_reading(server, library)
    _add_telling(server, library)
    return server


def _add_reading(server: MCPServer, library: Library) -> None:
    @server.tool()
    async def search_skills(words: str, kind: str = "", limit: int = 5) -> list[dict[str, Any]]:
        """Find what was learned that fits these words; each with its uplift: how much more is
        solved with it than without, and the 95 % interval of that."""  # noqa: D205, D209
        return await _asked(library.search, words, kind, limit)

    @server.tool()
    async def get_skill(name: str) -> str:
        """Read one skill whole, as SKILL.md."""
        return (await _asked(_files, library, name))["SKILL.md"]

    @server.resource("skill://{name}/SKILL.md", mime_type="text/markdown")
    async def skill(name: str) -> str:
        return await _read(library, name, "SKILL.md")

    @server.resource("skill://{name}/references/{file}", mime_type="application/json")
    async def reference(name: str, file: str) -> str:
        return await _read(library, name, f"references/{file}")


def _add_telling(server: MCPServer, library: Library) -> None:
    @server.tool()
    async def report_outcome(
        task: str, solved: bool, skills: list[str] | None = None, notes: str = "", kind: str = ""
    ) -> dict[str, str]:
        """Say how a task went and which skills were read for it; returns the episode's id."""
        outcome = Outcome(task=task, kind=kind, solved=solved, said=notes, by="mcp")
        return {"episode": await _asked(library.report, outcome, skills or [])}

    @server.tool()
    async def propose_lesson(  # noqa: PLR0913 - the parts of a lesson, each by its name
        episode: str,
        when: str,
        fault: str,
        why: str,
        instead: str,
        unless: str = "",
        kind: str = "",
    ) -> dict[str, str]:
        """Propose a lesson from an episode that was reported; it becomes a candidate."""
        lesson = {"when": when, "fault": fault, "why": why, "instead": instead, "unless": unless}
        item = await _asked(library.propose, {**lesson, "kind": kind}, episode, "mcp")
        return {"id": item.id, "standing": item.standing.value}


class _GetSkill(RequestParams):
    name: str


class SkillsOverMcp(Extension):
    """Skills as files: listed with a digest of each, read whole."""

    identifier = SKILLS

    def __init__(self, library: Library) -> None:
        self._library = library

    def methods(self) -> Sequence[MethodBinding]:
        """Return the two methods of the extension."""
        return (
            MethodBinding("skills/list", RequestParams, self._list, VERSION),
            MethodBinding("skills/get", _GetSkill, self._get, VERSION),
        )

    async def _list(self, _context: object, _params: RequestParams) -> dict[str, Any]:
        items = await asyncio.to_thread(self._library.active)
        return {"skills": [_manifest(item) for item in items]}

    async def _get(self, _context: object, params: _GetSkill) -> dict[str, Any]:
        item = await _asked(self._library.named, params.name)
        files = [{"path": path, "text": words} for path, words in skill_md.export(item).items()]
        return {**_manifest(item), "contents": files}


def _manifest(item: Item) -> dict[str, Any]:
    """Return what a skill is, with the digest of each of its files."""
    return {
        "name": skill_md.name_of(item),
        "description": _front(item)["description"],
        "frontmatter": _front(item),
        "files": [
            {"path": path, "sha256": sha256(words.encode()).hexdigest()}
            for path, words in skill_md.export(item).items()
        ],
    }


def _front(item: Item) -> dict[str, Any]:
    """Return the front matter of an item's SKILL.md, as it is written there."""
    import yaml

    return yaml.safe_load(skill_md.export(item)["SKILL.md"].split("---", 2)[1])


def _files(library: Library, name: str) -> dict[str, str]:
    return skill_md.export(library.named(name))


async def _read(library: Library, name: str, path: str) -> str:
    try:
        files = await asyncio.to_thread(_files, library, name)
        return files[path]
    except (UnknownNameError, KeyError):
        raise ResourceNotFoundError(f"no skill://{name}/{path}") from None


async def _asked(do: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - any answer
    """Return the answer of something that reads a database, or what is wrong with the question."""
    try:
        return await asyncio.to_thread(do, *arguments)
    except (UserError, ValueError) as error:
        raise ToolError(str(error)) from error
