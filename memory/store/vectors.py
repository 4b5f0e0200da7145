"""Embeddings beside the items they are of, so that a process without an index can search exactly.

They follow from the items and a model, so they are in no journal and may be made again.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)

from memory.store.database import insert_new
from memory.store.schema import ITEM, VECTOR

Vector: TypeAlias = NDArray[np.float32]
Key: TypeAlias = tuple[str, int]
"""The id of an item and its version."""

STORED = np.dtype("<f4")
"""Little-endian on every machine, so that a database can be copied to another."""

CURRENT = and_(VECTOR.c.item == ITEM.c.id, VECTOR.c.version == ITEM.c.version)


def put_vectors(connection: Connection, model: str, vectors: Mapping[Key, Vector]) -> None:
    """Keep those of versions that are still current; the others were overtaken meanwhile."""
    width = connection.scalar(
        select(func.length(VECTOR.c.vector)).where(VECTOR.c.model == model).limit(1)
    )
    rows = [
        {"item": item, "version": version, "packed": _packed(vector, model, width)}
        for (item, version), vector in vectors.items()
    ]
    if len({vector.size for vector in vectors.values()}) > 1:
        raise ValueError(f"vectors of {model!r} differ in width; one model makes one width")
    current = select(
        literal(model), ITEM.c.id, ITEM.c.version, bindparam("packed", type_=LargeBinary)
    ).where(ITEM.c.id == bindparam("item"), ITEM.c.version == bindparam("version"))
    if rows:
        columns = ["model", "item", "version", "vector"]
        connection.execute(insert_new(connection, VECTOR).from_select(columns, current), rows)


def load_vectors(
    connection: Connection, model: str, where: Iterable[ColumnElement[bool]]
) -> tuple[list[Key], Vector]:
    """Return the keys, oldest item first, and one row for each; without any, a matrix of (0, 0)."""
    query = (
        select(VECTOR.c.item, VECTOR.c.version, VECTOR.c.vector)
        .join(ITEM, CURRENT)
        .where(VECTOR.c.model == model, *where)
        .order_by(ITEM.c.number)
    )
    found = connection.execute(query).all()
    keys = [(item, version) for item, version, _ in found]
    flat = np.frombuffer(b"".join(packed for _, _, packed in found), STORED)
    return keys, flat.reshape(len(found), -1) if found else flat.reshape(0, 0)


def lacking(model: str) -> ColumnElement[bool]:
    """Return the condition of an item whose current version has no vector of a model."""
    return ~exists().where(VECTOR.c.model == model, CURRENT)


def carry_over(connection: Connection, item: str, version: int) -> None:
    """Let the vectors of the version before stand for this one: its words are the same."""
    moved = update(VECTOR).where(VECTOR.c.item == item, VECTOR.c.version == version - 1)
    connection.execute(moved.values(version=version))


def drop_before(connection: Connection, item: str, version: int) -> None:
    """Forget the vectors of older versions: no one searches for them."""
    connection.execute(delete(VECTOR).where(VECTOR.c.item == item, VECTOR.c.version < version))


def _packed(vector: Vector, model: str, width: int | None) -> bytes:
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(f"a vector of {model!r} has shape {vector.shape} or is not finite")
    packed = vector.astype(STORED).tobytes()
    if width is not None and len(packed) != width:
        raise ValueError(
            f"a vector of {model!r} has {vector.size} numbers, those stored {width // 4}; "
            "give another model another name"
        )
    return packed
