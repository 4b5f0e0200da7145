"""What other models say at the choices the student made: a teacher that read a hint, a reference.

Both speak through the student's own code, so where nothing differs the numbers do not either: a
teacher that was shown nothing has divergence exactly 0.

Shape suffixes: B sequences, T token positions, D the decisions of some sequences, K kept tokens,
N all heard decisions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import compress

import torch
from torch import Tensor

from distill.models.student import Student
from distill.sequences.batch import Targets
from distill.sequences.collate import Work, fed
from distill.sequences.encode import Encoded

KEPT = 20
"""Tokens of the student's that are compared; all others count as one (SDPO with feedback: 20)."""


def taught(
    student: Student,
    work: Work,
    *,
    part_tokens: int,
    kept: int = KEPT,
    weights: Mapping[str, Tensor] | None = None,
) -> Work:
    """Return the work with a teacher's words: those of the student once it has read the hint.

    Args:
        student: who learns; the kept tokens are the ones it finds likeliest now.
        work: rows that bring no hint stay without a teacher.
        part_tokens: so many tokens are read at once.
        kept: how many tokens are compared.
        weights: the teacher's, if it trails the student; None: the student's as they are now.
    """
    heard = [row.hinted for row in work.rows]
    targets = _hear(student, work, heard, (part_tokens, kept), weights)
    return work.told(teacher=targets)


def referred(
    student: Student,
    work: Work,
    weights: Mapping[str, Tensor],
    *,
    part_tokens: int,
    kept: int = KEPT,
) -> Work:
    """Return the work with the words of a reference: these weights, shown what the student is."""
    heard = [row.encoded for row in work.rows]
    return work.told(reference=_hear(student, work, heard, (part_tokens, kept), weights))


@torch.no_grad()
def _hear(
    student: Student,
    work: Work,
    heard: Sequence[Encoded | None],
    limits: tuple[int, int],
    weights: Mapping[str, Tensor] | None,
) -> Targets:
    part_tokens, kept = limits
    asked_B = [each is not None for each in heard]
    if not any(asked_B):
        return _silence(work, kept)
    ours = [row.encoded for row in compress(work.rows, asked_B)]
    theirs = [each for each in heard if each is not None]
    ids_NK = torch.cat([student.speech(part).top(kept) for part in _parts(ours, part_tokens)])
    known_BT = work.batch.mask_BT & torch.tensor(asked_B, device=student.device)[:, None]
    asked_NK = torch.cat([work.batch.tokens_BT[known_BT][:, None], ids_NK], 1)
    with student.speaking_as(weights) if weights is not None else nullcontext():
        logp_NK = torch.cat(list(_said(student, theirs, asked_NK, part_tokens)))
    logp_BT = torch.zeros(known_BT.shape, device=student.device)
    return Targets(
        known_BT=known_BT,
        logp_BT=logp_BT.masked_scatter(known_BT, logp_NK[:, 0]),
        logp_NK=logp_NK[:, 1:],
        ids_NK=ids_NK,
    )


def _silence(work: Work, kept: int) -> Targets:
    tokens_BT = work.batch.tokens_BT
    return Targets(
        known_BT=torch.zeros_like(tokens_BT, dtype=torch.bool),
        logp_BT=torch.zeros_like(tokens_BT, dtype=torch.float32),
        logp_NK=torch.zeros(0, kept, device=tokens_BT.device),
        ids_NK=torch.zeros(0, kept, dtype=torch.int64, device=tokens_BT.device),
    )


def _said(
    student: Student, sequences: Sequence[Encoded], asked_NK: Tensor, part_tokens: int
) -> Iterator[Tensor]:
    start = 0
    for part in _parts(sequences, part_tokens):
        stop = start + sum(len(each.decisions) for each in part)
        yield student.speech(part).of(asked_NK[start:stop]).logp_DK
        start = stop


def _parts(sequences: Sequence[Encoded], tokens: int) -> Iterator[list[Encoded]]:
    part: list[Encoded] = []
    for each in sequences:
        if part and sum(map(fed, part)) + fed(each) > tokens:
            yield part
            part = []
        part.append(each)
    yield part
