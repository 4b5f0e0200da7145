"""What a model says where it had a choice: log-probabilities over the tokens that were allowed.

Logits are computed at decisions only and, where actions are constrained, for their tokens only: the
projection to a vocabulary of 49,152 at every position is a fourth of what a plain trainer computes.

Shape suffixes: D decisions, R some of them, U tokens that any of these allows, K tokens asked for,
E hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from torch import Tensor

NOTHING = -1
"""Stands for a token where fewer are kept than there are columns; its log-probability is -inf."""

ROWS = 256
"""Decisions over the whole vocabulary at once: 50 MB of float32 logits, computed again backward."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    logp_DK: Tensor
    entropy_D: Tensor  # nats, without gradient


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """Some decisions with the tokens they chose among."""

    rows_R: Tensor
    words_U: Tensor  # ascending token ids
    allowed_RU: Tensor | None  # None: all of them


class Speech:
    """The model's words at the decisions of a batch, from its hidden states there."""

    def __init__(
        self,
        hidden_DE: Tensor,
        head_VE: Tensor,
        temperature_D: Tensor,
        allowed: Sequence[Sequence[int]],
    ) -> None:
        self._hidden_DE = hidden_DE.float()
        self._head_VE = head_VE
        self._temperature_D = temperature_D
        self._kinds = list(_kinds(allowed, head_VE))

    def of(self, ids_DK: Tensor) -> Said:
        """Return the log-probabilities of these tokens: -inf where one was not allowed."""
        count = len(self._hidden_DE)
        logp_DK = self._hidden_DE.new_empty(ids_DK.shape)
        entropy_D = self._hidden_DE.new_empty(count)
        for kind in self._kinds:
            found_RK, entropy_R = self._apart(kind, ids_DK[kind.rows_R])
            logp_DK = logp_DK.index_copy(0, kind.rows_R, found_RK)
            entropy_D = entropy_D.index_copy(0, kind.rows_R, entropy_R)
        return Said(logp_DK, entropy_D)

    @torch.no_grad()
    def top(self, k: int) -> Tensor:
        """Return the ids of the k likeliest tokens of each decision, `NOTHING` where fewer are."""
        ids_DK = torch.full((len(self._hidden_DE), k), NOTHING, device=self._head_VE.device)
        for kind in self._kinds:
            logp_RU = self._logp(kind, self._hidden_DE[kind.rows_R])
            best_RK, column_RK = logp_RU.topk(min(k, len(kind.words_U)))
            named_RK = kind.words_U[column_RK].masked_fill(best_RK == -torch.inf, NOTHING)
            ids_DK[kind.rows_R, : named_RK.shape[1]] = named_RK
        return ids_DK

    def _apart(self, kind: _Kind, ids_RK: Tensor) -> tuple[Tensor, Tensor]:
        hidden_RE = self._hidden_DE[kind.rows_R]
        if hidden_RE.requires_grad and kind.allowed_RU is None:
            found = checkpoint(self._look_up, kind, hidden_RE, ids_RK, use_reentrant=False)
            return cast("tuple[Tensor, Tensor]", found)
        return self._look_up(kind, hidden_RE, ids_RK)

    def _look_up(self, kind: _Kind, hidden_RE: Tensor, ids_RK: Tensor) -> tuple[Tensor, Tensor]:
        logp_RU = self._logp(kind, hidden_RE)
        column_RK = torch.searchsorted(kind.words_U, ids_RK).clamp(max=len(kind.words_U) - 1)
        found_RK = logp_RU.gather(1, column_RK)
        known_RK = kind.words_U[column_RK] == ids_RK
        entropy_R = torch.special.entr(logp_RU.detach().exp()).sum(1)
        return torch.where(known_RK, found_RK, -torch.inf), entropy_R

    def _logp(self, kind: _Kind, hidden_RE: Tensor) -> Tensor:
        logits_RU = hidden_RE @ self._head_VE[kind.words_U].float().T
        logits_RU = logits_RU / self._temperature_D[kind.rows_R, None]
        if kind.allowed_RU is not None:
            logits_RU = logits_RU.masked_fill(~kind.allowed_RU, -torch.inf)
        return torch.log_softmax(logits_RU, 1)


def _kinds(allowed: Sequence[Sequence[int]], head_VE: Tensor) -> list[_Kind]:
    device = head_VE.device
    free = [row for row, options in enumerate(allowed) if not options]
    bound = [row for row, options in enumerate(allowed) if options]
    whole_V = torch.arange(len(head_VE), device=device)
    kinds = [
        _Kind(torch.tensor(free[i : i + ROWS], device=device), whole_V, None)
        for i in range(0, len(free), ROWS)
    ]
    if bound:
        words = sorted({token for row in bound for token in allowed[row]})
        place = {token: column for column, token in enumerate(words)}
        allowed_RU = torch.zeros(len(bound), len(words), dtype=torch.bool)
        for at, row in enumerate(bound):
            allowed_RU[at, [place[token] for token in allowed[row]]] = True
        words_U = torch.tensor(words, device=device)
        kinds.append(_Kind(torch.tensor(bound, device=device), words_U, allowed_RU.to(device)))
    return kinds
