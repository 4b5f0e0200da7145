"""Messages to token ids, each token marked with who wrote it: one renderer for acting and training.

A chat template is text; sampling and training need tokens that never change once written. So the
pieces between messages are read off the template once, each message is tokenised by itself, and
what the policy sampled is put in as sampled. The tokens of a transcript are therefore a prefix of
those of the same transcript one step later. Knows no torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from distill.sequences.trie import Decision, decisions
from environments.transcript import Message, Origin

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REMEMBERED_TEXTS = 50_000
"""Texts whose tokens are kept: worlds repeat themselves, and tokenising costs 20 us a text."""

SAME_ROLE = "\n\n"
"""Between two messages under one header, such as the briefing and the task."""

PLAIN = (
    "{% for m in messages %}{{ m.role + ': ' + m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
"""For a model without a chat template: role, colon, text."""

MARKS = {"system": "0system0", "user": "0user0", "assistant": "0assistant0"}
"""Contents that no template holds, to find where it puts them."""


@dataclass(frozen=True, slots=True)
class Rendering:
    ids: tuple[int, ...]
    origins: tuple[Origin | None, ...]  # one per token; None: the template's own
    spans: tuple[tuple[int, int], ...]  # start and stop of each message the policy wrote


class Renderer:
    """Renders with the pieces of one tokenizer's chat template."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._encode = lru_cache(REMEMBERED_TEXTS)(self._encode_text)
        pieces = _pieces(_template(tokenizer))
        self._pieces = {key: self._encode_template(text) for key, text in pieces.items()}
        self.end = self._end_token()
        self._after_end = self._without_end(self._pieces["assistant", "user"])

    def render(self, messages: Sequence[Message]) -> Rendering:
        """Return the tokens of a transcript, up to and including the last message's text."""
        ids: list[int] = []
        origins: list[Origin | None] = []
        spans: list[tuple[int, int]] = []
        for before, message in pairwise((None, *messages)):
            assert message is not None
            self._join(ids, before, message)
            origins += [None] * (len(ids) - len(origins))
            start = len(ids)
            ids += self._written(message)
            origins += [message.origin] * (len(ids) - start)
            if message.origin is Origin.POLICY:
                spans.append((start, len(ids)))
        return Rendering(tuple(ids), tuple(origins), tuple(spans))

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Return the tokens of a transcript that the policy is to continue."""
        ids = list(self.render(messages).ids)
        self._join(ids, messages[-1] if messages else None, Message(Origin.POLICY, ""))
        return tuple(ids)

    def action(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a completion of this text, end token included."""
        return (*self._encode(text), self.end)

    def text(self, ids: Sequence[int]) -> str:
        """Return what a completion says, without its end token."""
        said = [token for token in ids if token != self.end]
        return cast("str", self._tokenizer.decode(said, skip_special_tokens=True))

    def decisions(
        self, rendering: Rendering, admissible: Sequence[Sequence[str]]
    ) -> tuple[Decision, ...]:
        """Return every token the policy chose, and from what: what a loss may touch.

        Args:
            rendering: a transcript.
            admissible: for each of the policy's messages in order, the actions it chose from.
        """
        return tuple(
            decision
            for (start, stop), actions in zip(rendering.spans, admissible, strict=True)
            for decision in decisions(
                rendering.ids[start:stop], start, [self.action(each) for each in actions]
            )
        )

    def _join(self, ids: list[int], before: Message | None, message: Message) -> None:
        if before is None:
            ids += self._pieces["", message.role]
        elif before.role == message.role:
            ids += self._encode(SAME_ROLE)
        elif before.role == "assistant" and ids[-1] == self.end:
            ids += self._after_end
        else:
            ids += self._pieces[before.role, message.role]

    def _written(self, message: Message) -> tuple[int, ...]:
        if message.token_ids:
            return message.token_ids
        if message.origin is Origin.POLICY:
            return self.action(message.text)
        return self._encode(message.text)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        # What someone else wrote must not close a message: "<|im_end|>" in an observation is
        # eight ordinary tokens.
        return tuple(
            self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        )

    def _encode_template(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _end_token(self) -> int:
        """Return what closes the policy's message: the template's token, else the tokenizer's."""
        special = set(self._tokenizer.all_special_ids)
        after = (token for token in self._pieces["assistant", "user"] if token in special)
        return next(after, cast("int", self._tokenizer.eos_token_id))

    def _without_end(self, piece: tuple[int, ...]) -> tuple[int, ...]:
        return piece[piece.index(self.end) + 1 :] if self.end in piece else piece


def _template(tokenizer: "PreTrainedTokenizerBase") -> Callable[[Sequence[str], bool], str]:
    """Return a function that renders marks for a sequence of roles."""
    template = None if tokenizer.chat_template else PLAIN

    def text(roles: Sequence[str], prompt: bool) -> str:
        messages = [{"role": role, "content": MARKS[role]} for role in roles]
        return cast(
            "str",
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=prompt, chat_template=template
            ),
        )

    return text


def _pieces(text: Callable[[Sequence[str], bool], str]) -> dict[tuple[str, str], str]:
    """Return what the template puts before the first message and between two roles.

    The header before the policy's message is that of the generation prompt, also in the past,
    where some templates write another: what was sampled from is what is trained on.
    """
    bare = text(("user", "assistant", "user"), True)
    pieces = {
        ("", "user"): bare.partition(MARKS["user"])[0],
        ("user", "assistant"): bare.rpartition(MARKS["user"])[2],
        ("assistant", "user"): _between(bare, "assistant", "user"),
    }
    told = _with_system(text)
    if told is None:  # the template knows no system: the rules open the user's first message
        pieces["", "system"] = pieces["", "user"]
        pieces["system", "user"] = SAME_ROLE
        pieces["system", "assistant"] = pieces["user", "assistant"]
    else:
        pieces["", "system"] = told.partition(MARKS["system"])[0]
        pieces["system", "user"] = _between(told, "system", "user")
    return pieces


def _with_system(text: Callable[[Sequence[str], bool], str]) -> str | None:
    from jinja2 import TemplateError

    try:
        told = text(("system", "user"), True)
    except TemplateError:
        return None
    return told if MARKS["system"] in told else None


def _between(text: str, first: str, second: str) -> str:
    return text.partition(MARKS[first])[2].partition(MARKS[second])[0]
