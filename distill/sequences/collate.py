"""Sequences to a batch: the padded numbers of an objective, and the packed tokens of a model.

The numbers are padded to a rectangle, which costs nothing; the tokens, which do cost, are laid end
to end without padding, a shared beginning only once, and cut into parts that fit in memory.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan

import torch
from torch import Tensor

from distill.sequences.attention import Piece
from distill.sequences.batch import Batch, Targets, cut
from distill.sequences.encode import Dropped, Encoded, Encoder, Reading, Reason

WORTH_SHARING = 16
"""Shared tokens from which on they are fed once: less than that costs more calls than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One attempt to learn from, and what is to be learned from it."""

    reading: Reading
    group: str = ""  # attempts at the same task share it
    advantage: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The same, as tokens."""

    encoded: Encoded
    hinted: Encoded | None  # what a teacher reads; None: nothing to show it
    group: str
    advantage: float
    weight: float
    reward: float  # of the episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one optimizer step learns from."""

    rows: tuple[Row, ...]
    batch: Batch

    @property
    def tokens(self) -> int:
        return sum(fed(row.encoded) for row in self.rows)

    def parts(self, tokens: int) -> Iterator["Work"]:
        """Yield consecutive rows, so many that their tokens are at most `tokens`, at least one."""
        start, held = 0, 0
        for stop, row in enumerate(self.rows):
            if stop > start and held + fed(row.encoded) > tokens:
                yield self._part(start, stop)
                start, held = stop, 0
            held += fed(row.encoded)
        yield self._part(start, len(self.rows))

    def _part(self, start: int, stop: int) -> "Work":
        return Work(rows=self.rows[start:stop], batch=cut(self.batch, start, stop))

    def told(self, *, teacher: Targets | None = None, reference: Targets | None = None) -> "Work":
        """Return the same work, with what other models say of it."""
        batch = replace(
            self.batch,
            teacher=teacher or self.batch.teacher,
            reference=reference or self.batch.reference,
        )
        return replace(self, batch=batch)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """Sequences laid end to end, as a model is fed."""

    ids_N: Tensor
    position_N: Tensor
    pieces: tuple[Piece, ...]
    at_D: Tensor  # where the token before each decision stands, in N
    temperature_D: Tensor
    allowed: tuple[tuple[int, ...], ...]  # one per decision; empty: the whole vocabulary


def fed(encoded: Encoded) -> int:
    """Return how many tokens a model is fed of a sequence: all but the last, a decision."""
    return len(encoded.ids) - 1


def rows_of(encoder: Encoder, chosen: Sequence[Chosen]) -> tuple[tuple[Row, ...], Dropped]:
    """Return what can be trained on, and why the rest cannot.

    An attempt whose hint does not fit stays, without a teacher; it is counted all the same.
    """
    rows: list[Row] = []
    dropped: Dropped = Counter()
    for each in chosen:
        encoded = encoder.encode(replace(each.reading, hint=""))
        hinted = encoder.encode(each.reading) if each.reading.hint else None
        dropped.update(x for x in {encoded, hinted} if isinstance(x, Reason))
        if isinstance(encoded, Encoded):
            rows.append(
                Row(
                    encoded=encoded,
                    hinted=hinted if isinstance(hinted, Encoded) else None,
                    group=each.group,
                    advantage=each.advantage,
                    weight=each.weight,
                    reward=each.reading.episode.reward,
                )
            )
    return tuple(rows), dropped


def collate(rows: Sequence[Row], *, device: torch.device | None = None) -> Work:
    """Return the rows as one step's work, those with the same beginning side by side."""
    ordered = tuple(sorted(rows, key=lambda row: row.encoded.ids))
    groups = {name: number for number, name in enumerate(dict.fromkeys(r.group for r in ordered))}
    shape = (len(ordered), max(len(row.encoded.ids) for row in ordered))
    tokens_BT = torch.zeros(shape, dtype=torch.int64)
    sampled_BT = torch.full(shape, nan)
    mask_BT = torch.zeros(shape, dtype=torch.bool)
    for b, row in enumerate(ordered):
        at = torch.tensor([decision.position for decision in row.encoded.decisions])
        tokens_BT[b, : len(row.encoded.ids)] = torch.tensor(row.encoded.ids)
        mask_BT[b, at] = True
        sampled_BT[b, at] = torch.tensor(row.encoded.sampled)
    advantage_B1 = torch.tensor([[row.advantage] for row in ordered])
    batch = Batch(
        tokens_BT=tokens_BT.to(device),
        mask_BT=mask_BT.to(device),
        sampled_logp_BT=sampled_BT.to(device),
        advantage_BT=(advantage_B1 * mask_BT).to(device),
        group_B=torch.tensor([groups[row.group] for row in ordered], device=device),
        source_B=torch.tensor([int(row.encoded.source) for row in ordered], device=device),
        weight_B=torch.tensor([row.weight for row in ordered], device=device),
    )
    return Work(rows=ordered, batch=batch)


def pack(sequences: Sequence[Encoded], device: torch.device) -> Packed:
    """Return the sequences as a model is fed; what one shares with the last is fed once."""
    ids, positions = list[int](), list[int]()
    pieces: list[Piece] = []
    at: list[int] = []
    before: tuple[int, ...] = ()
    way: list[slice] = []  # where the tokens of the last sequence stand
    for sequence in sequences:
        new = sequence.ids[:-1]
        way = _first(way, _shared(before, new))
        shared = sum(each.stop - each.start for each in way)
        own = slice(len(ids), len(ids) + len(new) - shared)
        if own.stop > own.start:
            pieces.append(Piece(own, tuple(way)))
            way = [*way, own]
        ids += new[shared:]
        positions += range(shared, len(new))
        places = [place for each in way for place in range(each.start, each.stop)]
        at += [places[decision.position - 1] for decision in sequence.decisions]
        before = new
    return Packed(
        ids_N=torch.tensor(ids, device=device),
        position_N=torch.tensor(positions, device=device),
        pieces=tuple(pieces),
        at_D=torch.tensor(at, device=device),
        temperature_D=torch.tensor(
            [each.temperature for each in sequences for _ in each.decisions], device=device
        ),
        allowed=tuple(decision.allowed for each in sequences for decision in each.decisions),
    )


def _shared(before: Sequence[int], new: Sequence[int]) -> int:
    """Return how many first tokens two sequences share, 0 where sharing them is not worth it."""
    differing = (i for i, (a, b) in enumerate(zip(before, new, strict=False)) if a != b)
    count = next(differing, min(len(before), len(new)))
    return count if count >= WORTH_SHARING else 0


def _first(way: Sequence[slice], count: int) -> list[slice]:
    """Return the part of a way that its first tokens stand on."""
    kept: list[slice] = []
    for each in way:
        if count <= 0:
            break
        kept.append(slice(each.start, min(each.stop, each.start + count)))
        count -= each.stop - each.start
    return kept
