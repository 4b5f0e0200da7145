"""From settings to living objects: the only place that knows both.

Heavy libraries are imported by the function that needs them, so a command pays for what it uses.
"""

import os
import platform
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from apprentice.processor import multiplies_bfloat16
from apprentice.settings.acting import ADAPTERS, BASE, LOCAL, VLLM, Named, find_acting
from apprentice.settings.config import Config, one_of_several
from environments.environment import Environment
from environments.errors import UnknownNameError, UserError
from environments.registry import open_environment

if TYPE_CHECKING:
    from agent.endpoints.endpoint import Endpoint
    from agent.policy import Policy
    from apprentice.runs.remember import Reminder
    from apprentice.runs.runs import Rig
    from apprentice.runs.searching import Searching
    from apprentice.runs.tracing import Spans
    from apprentice.settings.orders import Library
    from distill.training.team import Team
    from memory.bank.bank import Bank
    from memory.index.embed import Embedder
    from memory.index.index import Index
    from memory.proof.trials import Trials
    from memory.store.store import Store

STORE = "apprentice.sqlite"
INDEX = "index"

BYTES_PER_TOKEN = 3
"""English has about four; where the tokenizer is elsewhere, the guess is rather too many tokens."""

NO_KEY = "EMPTY"
"""Sent where no key is set: local servers take any, and OpenAI's client insists on one."""

POLICIES = (
    "local[:MODEL][@ADAPTER]", "vllm[:MODEL][@ADAPTER]", "openai:MODEL", "graph:MODULE:VARIABLE",
    "random",
)  # fmt: skip


class PlaceError(UserError, OSError):
    """A directory of ours cannot be used."""


def make_home(config: Config) -> Path:
    """Return the directory that holds everything of ours, made where it is missing.

    Raises:
        PlaceError: it cannot be made.
    """
    try:
        config.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "choose another with --home or APPRENTICE_HOME"
        raise PlaceError(f"cannot make {str(config.home)!r}: {error.strerror}; {advice}") from None
    return config.home


def store_place(config: Config) -> str | Path:
    """Return where the store is, and all else in its database: a URL, or a file in the home."""
    return config.store.url.get_secret_value() or make_home(config) / STORE


def make_store(config: Config) -> "Store":
    """Return the store of episodes, made where it is missing."""
    from memory.store.store import Store

    return Store.open(store_place(config))


def make_bank(config: Config) -> "Bank":
    """Return the bank of memories, in the database of the store."""
    from memory.bank.bank import Bank

    return Bank.open(store_place(config))


def make_trials(config: Config) -> "Trials":
    """Return the trials of memories, in the database of the store."""
    from memory.proof.trials import Trials

    return Trials.open(store_place(config))


def make_embedder(config: Config) -> "Embedder":
    """Return the model of embedding that the settings name; it is loaded when it is needed."""
    from memory.index.embed import Embedder

    dtype = config.memory.embedder_dtype
    if dtype == "auto":
        dtype = "bfloat16" if multiplies_bfloat16() else "float32"
    return Embedder(config.memory.embedder, dtype)


def make_index(config: Config, bank: "Bank", model: str) -> "Index":
    """Return the index of the active items: the embedded one, or that of a Chroma server."""
    from memory.index.chroma import Server, Which
    from memory.index.claim import Owner
    from memory.index.index import Index

    which = Which(model=model)
    at = config.memory
    if at.chroma_host:
        token = at.chroma_token.get_secret_value()
        server = Server(host=at.chroma_host, port=at.chroma_port, ssl=at.chroma_ssl, token=token)
        return Index.served(bank, which, server)
    me = Owner(pid=os.getpid(), host=platform.node(), since=now())
    return Index.embedded(bank, which, make_home(config) / INDEX, me)


def make_environment(config: Config) -> Environment:
    """Return the environment that the settings name."""
    world = config.environment
    return open_environment(world.name, games=world.games, **world.settings)


def make_spans(config: Config) -> "Spans | None":
    """Return what tells a collector what happens; None: nobody asked for it, and it costs nothing.

    Raises:
        UserError: the packages for it are not installed.
    """
    if not config.tracing.endpoint:
        return None
    from apprentice.runs.tracing import exporting

    return exporting(config.tracing.endpoint, content=config.tracing.content)


def make_policy(config: Config) -> "Policy":
    """Return the policy that the settings name, ready to act.

    Raises:
        UnknownNameError: there is no such kind of policy.
    """
    spans, policy = make_spans(config), _policy(config)
    return policy if spans is None else spans.policy(policy)


def _policy(config: Config) -> "Policy":
    named = Named.parse(config.policy.use)
    if named.kind == "random":
        from agent.scripted import RandomPolicy

        return RandomPolicy()
    if named.kind == "openai" and named.model:
        return _chat(config, named.model)
    if named.kind == "graph":
        from agent.guests.guest import load_guest

        return load_guest(named.model, Path.cwd())
    if named.kind == LOCAL:
        return _local(config, named)
    if named.kind == VLLM:
        from apprentice.vllm.build import make_vllm

        endpoint = make_endpoint(config, named.model)  # of what is set; the version gives its name
        return make_vllm(config, make_home(config), find_acting(config, named), endpoint)
    raise UnknownNameError("policy", config.policy.use, POLICIES)


@contextmanager
def make_serving(config: Config) -> "Generator[Config]":
    """Yield the settings under which whoever learns also acts; a server of our own serves all."""
    if Named.parse(config.policy.use).kind != VLLM:
        yield config
        return
    from apprentice.vllm.sharing import serving

    with serving(config, make_home(config)) as acting:
        yield acting


def make_endpoint(config: Config, model: str) -> "Endpoint":
    """Return the endpoint that the settings name, for one of its models."""
    from agent.endpoints.endpoint import Endpoint

    return Endpoint(
        model=model,
        base_url=config.endpoint.base_url,
        api_key=config.endpoint.api_key.get_secret_value() or NO_KEY,
        temperature=config.policy.temperature,
        max_tokens=config.endpoint.max_tokens,
        timeout_s=config.endpoint.timeout_s,
        retries=config.endpoint.retries,
        width=config.policy.width,
    )


def _chat(config: Config, model: str) -> "Policy":
    from agent.endpoints.chat import ChatPolicy

    return ChatPolicy(make_endpoint(config, model))


def _local(config: Config, named: Named) -> "Policy":
    acting = find_acting(config, named)  # first: a slip in a name is told before torch is loaded
    import torch

    from distill.engine.engine import LocalPolicy, LocalSettings

    actor = config.policy
    settings = LocalSettings(
        lanes=actor.width,
        temperature=actor.temperature,
        dtype=None if actor.dtype == "auto" else getattr(torch, actor.dtype),
    )
    return LocalPolicy.open(
        acting.model, cache=config.cache, settings=settings, adapter=acting.folder
    )


def make_judge(config: Config) -> "Policy | None":
    """Return the policy that criticizes, or None if it is off."""
    judge = config.critic
    if judge.use == "off":
        return None
    named = Named.parse(judge.use)
    if named.kind == LOCAL and not named.adapter:
        named = replace(named, adapter=BASE)  # who learned to act may have forgotten how to judge
    update = {"use": str(named), "temperature": judge.temperature, "width": judge.votes}
    actor = config.policy.model_copy(update=update)
    return make_policy(config.model_copy(update={"policy": actor}))


def make_team() -> "Team":
    """Return the processes that train together: this one, or all that were launched."""
    from distill.training.team import ALONE, launched

    return launched() if one_of_several() else ALONE


@contextmanager
def make_library(config: Config) -> "Generator[Library]":
    """Yield all that there is to learn from."""
    from apprentice.settings.orders import ORDERS, Library
    from distill.models.adapters import Adapters
    from memory.bank.annotations import Annotations

    home = make_home(config)
    with (
        make_store(config) as store,
        make_bank(config) as bank,
        Annotations.open(store_place(config)) as annotations,
    ):
        yield Library(
            store=store,
            bank=bank,
            annotations=annotations,
            environment=make_environment(config),
            adapters=Adapters(home / ADAPTERS),
            orders=home / ORDERS,
        )


@contextmanager
def make_rig(
    config: Config, *, policy: "Policy | None" = None, may_search: bool = False
) -> "Generator[Rig]":
    """Yield all that a run needs; its policy is closed by the run, the rest here.

    Args:
        config: the settings.
        policy: who acts, if somebody has made it already; None: the one that the settings name.
        may_search: whether attempts are searched where the settings say so; an exam's never are.
    """
    from agent.attempt import Limits
    from apprentice.runs.runs import Rig

    with ExitStack() as open_things:
        environment = make_environment(config)  # first: a slip in a name is told before any loading
        store = open_things.enter_context(make_store(config))
        policy = policy or make_policy(config)
        rig = Rig(
            environment=environment,
            policy=policy,
            store=store,
            limits=Limits(**config.limits.model_dump()),
            width=config.policy.width,
            checkpoints=make_home(config),
            clock=now,
            reminder=_reminder(config, policy, open_things),
            search=_searching(config) if may_search else None,
        )
        spans = make_spans(config)
        yield rig if spans is None else spans.rig(rig)


def _searching(config: Config) -> "Searching | None":
    if not config.search.budget:
        return None
    from agent.search.settings import SearchSettings
    from apprentice.runs.searching import TREES, Searching

    named = config.search.model_dump(exclude={"temperature"})
    return Searching(settings=SearchSettings(**named), trees=make_home(config) / TREES)


def _reminder(config: Config, policy: "Policy", open_things: ExitStack) -> "Reminder | None":
    if config.memory.recall == "off":
        return None
    from apprentice.runs.remember import Reminder
    from memory.index.embed import embed_missing
    from memory.recall.briefing import BUDGETS, RENDERINGS
    from memory.recall.candidates import Shelf
    from memory.recall.recall import Space, Taste

    bank = open_things.enter_context(make_bank(config))

    @cache
    def open_shelf() -> Shelf:  # once, for its model takes 8 s to load
        embedder = make_embedder(config)
        embed_missing(bank, embedder)
        index = open_things.enter_context(make_index(config, bank, embedder.name))
        return Shelf(bank=bank, index=index, embedder=embedder, environment=config.environment.name)

    by_size = "large" if config.policy.use.startswith("openai:") else "small"
    words = by_size if config.memory.words == "auto" else config.memory.words
    return Reminder(
        bank=bank,
        open_shelf=open_shelf,
        strategy=config.memory.recall,
        taste=Taste(floor=config.memory.floor),
        space=Space(
            render=RENDERINGS[words],
            count_tokens=_counter(policy),
            budget=BUDGETS[words] if config.memory.budget is None else config.memory.budget,
        ),
        share_left_out=config.memory.left_out,
        clock=now,
    )


def _counter(policy: "Policy") -> Callable[[str], int]:
    """Return how many tokens a text is: exactly for a policy that can tell, else a safe guess."""
    renderer = getattr(policy, "renderer", None)
    if renderer is None:
        return lambda text: -(-len(text.encode()) // BYTES_PER_TOKEN)
    return lambda text: len(renderer.action(text))


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@contextmanager
def run_lock(config: Config, run: str) -> Generator[None]:
    """Hold a run, so that no second process carries it on at the same time.

    Raises:
        PlaceError: another process holds it.
    """
    from filelock import FileLock, Timeout

    path = make_home(config) / f"{run}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise PlaceError(f"run {run} is being carried on by another process; wait for it") from None
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)
