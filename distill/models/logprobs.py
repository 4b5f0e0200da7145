"""Log-probabilities of recorded decisions, computed again from hidden states, with gradients.

Training needs the numbers the engine recorded, under weights that have since moved: the same
allowed tokens, the same temperature, logits in float32 as the engine takes them.

Shape suffixes: T positions, D decisions, A allowed tokens, E hidden size, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.sequences.trie import Decision


def decision_logprobs(
    hidden_TE: Tensor, head_VE: Tensor, decisions: Sequence[Decision], temperature: float
) -> Tensor:
    """Return the log-probability in nats of each decision among what was allowed, (D,).

    Args:
        hidden_TE: the model's final hidden state at every position of one sequence.
        head_VE: the weight of the output layer.
        decisions: of this sequence; none may be at position 0, which nothing precedes.
        temperature: that of sampling; 0 is recorded as 1.
    """
    scale = 1.0 / (temperature or 1.0)
    before = torch.tensor([each.position - 1 for each in decisions], device=hidden_TE.device)
    hidden_DE = hidden_TE[before].float()
    logps = [
        _logprob(hidden_E, head_VE, decision, scale)
        for hidden_E, decision in zip(hidden_DE, decisions, strict=True)
    ]
    return torch.stack(logps) if logps else hidden_TE.new_zeros(0, dtype=torch.float32)


def _logprob(hidden_E: Tensor, head_VE: Tensor, decision: Decision, scale: float) -> Tensor:
    if not decision.allowed:
        return (head_VE.float() @ hidden_E * scale).log_softmax(-1)[decision.token]
    allowed_A = torch.tensor(decision.allowed, device=hidden_E.device)
    logp_A = (head_VE[allowed_A].float() @ hidden_E * scale).log_softmax(-1)
    return logp_A[decision.allowed.index(decision.token)]
