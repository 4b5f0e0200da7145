"""The model that learns: one set of weights, trained here and taken over by whoever acts.

Either low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) in float32 over a frozen base, or
all weights between the embeddings, which are kept in float32 while the model computes with a copy
in its own precision: steps of 1e-5 round away in bfloat16. The embeddings and the projection to the
vocabulary stay as they are, as with LoRA: a fifth of the parameters, and every word they know is
known already.

Shape suffixes: B sequences, T token positions, N packed tokens, D decisions, K kept tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from distill.models.low_rank import use_low_rank
from distill.models.speech import NOTHING, Speech
from distill.models.trained import Trained
from distill.sequences.attention import use_packed_attention
from distill.sequences.batch import Logprobs, Targets
from distill.sequences.collate import Packed, Work, pack
from distill.sequences.encode import Encoded
from environments.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    rank: int = 16
    alpha: int = 32  # the update is scaled by alpha / rank
    seed: int = 0  # of the first values of A; B begins at 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What the student says of some work, with gradients, and what it would be watched for."""

    logprobs: Logprobs
    logp_D: Tensor  # of the tokens taken, without gradient
    entropy_D: Tensor  # nats, without gradient


class OutOfMemoryError(UserError, MemoryError):
    """A part of a step did not fit."""

    def __init__(self, tokens: int) -> None:
        super().__init__(
            f"out of memory with {tokens} tokens at once: lower `part_tokens`, "
            f"or set `checkpointing`, which takes a third more time"
        )


class Student:
    """A model in training."""

    def __init__(
        self,
        model: PreTrainedModel,
        trained: Trained = Trained.FULL,
        *,
        lora: Lora = Lora(),
        checkpointing: bool = False,
    ) -> None:
        use_packed_attention(model)
        self.model = model
        self.trained = trained
        self.lora = lora
        if trained is Trained.LORA and not any(_learning(model, trained)):
            add_lora(model, lora)
        if trained is Trained.LORA:
            use_low_rank(model)
        self.weights = _masters(model, trained)
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
            model.train()  # transformers checkpoints in this mode only; nothing here has dropout

    @property
    def device(self) -> torch.device:
        return self.model.device

    def speak(self, work: Work) -> Spoken:
        """Return what it says of the tokens taken, and of those that the others' targets keep.

        Raises:
            OutOfMemoryError: the work is too much at once.
        """
        batch = work.batch
        taken_D = batch.tokens_BT[batch.mask_BT]
        kept = [_spread(targets, batch.mask_BT) for targets in (batch.teacher, batch.reference)]
        asked = [taken_D[:, None], *(ids_DK for ids_DK in kept if ids_DK is not None)]
        said = self.speech([row.encoded for row in work.rows]).of(torch.cat(asked, 1))
        taken_D1, *wide = said.logp_DK.split([ids.shape[1] for ids in asked], 1)
        taken_BT = torch.zeros(batch.mask_BT.shape, device=self.device)
        taken_BT = taken_BT.masked_scatter(batch.mask_BT, taken_D1[:, 0])
        wide = iter(wide)
        teacher, reference = (
            None
            if targets is None or ids_DK is None
            else next(wide)[targets.known_BT[batch.mask_BT]]
            for targets, ids_DK in zip((batch.teacher, batch.reference), kept, strict=True)
        )
        return Spoken(
            logprobs=Logprobs(taken_BT=taken_BT, teacher_NK=teacher, reference_NK=reference),
            logp_D=taken_D1[:, 0].detach(),
            entropy_D=said.entropy_D,
        )

    @contextmanager
    def speaking_as(self, weights: Mapping[str, Tensor]) -> Generator[None]:
        """Speak with other weights for a while: a trailing teacher's, or those of the beginning."""
        own = self.copy()
        self.load(weights)
        try:
            yield
        finally:
            self.load(own)

    def copy(self) -> dict[str, Tensor]:
        """Return the weights as they are now."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take these weights."""
        for name, weight in self.weights.items():
            weight.copy_(weights[name])
        self.publish()

    @torch.no_grad()
    def publish(self) -> None:
        """Have the model compute with the weights as they are now; after every update."""
        for name, parameter in _learning(self.model, self.trained):
            master = self.weights[name]
            if master is not parameter:
                parameter.copy_(master)

    def speech(self, sequences: Sequence[Encoded]) -> Speech:
        """Return its words at every decision of some sequences, which are packed and read once."""
        packed = pack(sequences, self.device)
        return Speech(self._hidden(packed), self._head(), packed.temperature_D, packed.allowed)

    def _hidden(self, packed: Packed) -> Tensor:
        outputs = cast("Any", self.model).base_model(
            input_ids=packed.ids_N[None],
            position_ids=packed.position_N[None],
            pieces=packed.pieces,
            use_cache=False,
        )
        hidden_1NE: Tensor = outputs.last_hidden_state
        return hidden_1NE[0, packed.at_D]

    def _head(self) -> Tensor:
        return cast("Any", self.model).get_output_embeddings().weight.detach()


def add_lora(model: PreTrainedModel, lora: Lora) -> None:
    """Put fresh adapters beside every linear layer between the embeddings, in place."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        inject_adapter_in_model(config, model)


def _masters(model: PreTrainedModel, trained: Trained) -> dict[str, Tensor]:
    """Freeze what does not learn, and return the float32 weights of what does, by name."""
    model.requires_grad_(False)
    masters: dict[str, Tensor] = {}
    for name, parameter in _learning(model, trained):
        parameter.requires_grad_(True)
        if parameter.dtype == torch.float32:
            masters[name] = parameter
        else:
            masters[name] = parameter.detach().float().requires_grad_()
            parameter.register_post_accumulate_grad_hook(_collector(masters[name]))
    return masters


def _collector(master: Tensor) -> Callable[[Tensor], None]:
    """Return what moves a gradient to the master, where parts of a step add up in float32."""

    def collect(parameter: Tensor) -> None:
        given = parameter.grad
        assert given is not None
        master.grad = given.float() if master.grad is None else master.grad.add_(given)
        parameter.grad = None

    return collect


def _learning(model: PreTrainedModel, trained: Trained) -> Iterator[tuple[str, Tensor]]:
    if trained is Trained.LORA:
        yield from ((n, p) for n, p in model.named_parameters() if ".lora_" in n)
        return
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    kept = {id(p) for end in ends if end is not None for p in end.parameters()}
    yield from ((n, p) for n, p in model.named_parameters() if id(p) not in kept)


def _spread(targets: Targets | None, mask_BT: Tensor) -> Tensor | None:
    """Return the kept ids at every decision, `NOTHING` where the other model was not asked."""
    if targets is None or targets.ids_NK is None:
        return None
    ids_NK = targets.ids_NK
    known_D = targets.known_BT[mask_BT]
    ids_DK = torch.full((len(known_D), ids_NK.shape[1]), NOTHING, device=ids_NK.device)
    ids_DK[known_D] = ids_NK
    return ids_DK
