"""Several processes that train one student: each reads a share of every step, all take the step.

The losses of the parts of a step add up to that of the whole, whoever reads them, so gradients are
added and nothing else changes: the weights are those of one process up to the order of additions,
and a checkpoint does not tell how many it was made by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

T = TypeVar("T")


class Team(Protocol):
    """What processes must be able to tell each other."""

    @property
    def rank(self) -> int:
        """Which one this is, from 0; the first also writes and shows."""
        ...

    @property
    def size(self) -> int: ...

    def added(self, tensor: Tensor) -> Tensor:
        """Return the sum of what all have."""
        ...

    def gathered(self, values: Sequence[T]) -> list[T]:
        """Return what all have, in no order that matters."""
        ...

    def told(self, value: T) -> T:
        """Return what the first one has."""
        ...


class Alone:
    """One process."""

    rank, size = 0, 1

    def added(self, tensor: Tensor) -> Tensor:
        return tensor

    def gathered(self, values: Sequence[T]) -> list[T]:
        return list(values)

    def told(self, value: T) -> T:
        return value


ALONE = Alone()


class Launched:
    """The processes that `accelerate launch` started."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator

    @property
    def rank(self) -> int:
        return self._accelerator.process_index

    @property
    def size(self) -> int:
        return self._accelerator.num_processes

    def added(self, tensor: Tensor) -> Tensor:
        return cast("Tensor", self._accelerator.reduce(tensor, "sum"))

    def gathered(self, values: Sequence[T]) -> list[T]:
        from accelerate.utils import gather_object

        return cast("list[T]", gather_object(list(values)))

    def told(self, value: T) -> T:
        from accelerate.utils import broadcast_object_list

        holder: list[Any] = [value]
        return cast("T", broadcast_object_list(holder)[0])


def launched() -> Team:
    """Return the team of the processes that `accelerate launch` started this one with."""
    import torch
    from accelerate import Accelerator

    return Launched(Accelerator(cpu=not torch.cuda.is_available()))
