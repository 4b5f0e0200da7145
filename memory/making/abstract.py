"""Names without their instance numbers: what a memory is found by must not name one house's mug 1.

A demonstration keeps the numbers in its moves, which a replay needs; everything that retrieval
reads goes through here, and `lint` says what slipped by.
"""

import re

from memory.knowledge.items import Item, text_of

_AMOUNTS = (
    "a about after all an and are around at before below by for from greater if in is least less "
    "more most of on only or over per than the times to under until up was were with"
)
COUNTED = frozenset(_AMOUNTS.split())
"""Words before a number that make it an amount and not the number of a thing: "at least 2"."""

_GIVING = (
    "add adds contain contains equal equals find finds gave get gets give gives has have hold "
    "holds need needs print prints return returned returning returns subtract use uses yields"
)
_VERBS = frozenset(_GIVING.split())
"""Words that are no thing either: "return 0" is advice that means nothing without its 0."""

INSTANCE = re.compile(r"\b([a-z][a-z_-]*[a-z])(?: \d{1,3})+\b(?![.,]\d)", re.IGNORECASE)
"""A thing and its number, such as "mug 1"; four digits are a year or an amount."""

PRICE = re.compile(r"[$€£]\s?\d[\d,.]*\d|[$€£]\s?\d")
"""SkillRL abstracts prices like instances (arXiv:2602.08234, its prompt for memories)."""

ENUMERATED = re.compile(r"\b(an? ([\w-]+))(?:(?:,? and|,) an? \2\b)+")
"""One class of things told one by one: "a cabinet, a cabinet, and a cabinet"."""

LONGEST_SITUATION = 600
"""Characters; a sentence embedder reads some 256 tokens and would not see the rest anyway."""


def instances(text: str) -> tuple[str, ...]:
    """Return the things named with their numbers, each once, in the order of the text.

    >>> instances("take mug 2 from shelf 1, then look at mug 2 at least 3 times")
    ('mug 2', 'shelf 1')
    """
    return tuple(dict.fromkeys(found[0] for found in _found(text)))


def class_of(instance: str) -> str:
    """Return what sort of thing it is.

    >>> class_of("mug 2")
    'mug'
    """
    return INSTANCE.sub(r"\1", instance)


def abstracted(text: str) -> str:
    """Return the text without instance numbers and prices.

    Known limit: a rare verb before an amount is taken for a thing, so "fetch 2 mugs" loses its 2.

    >>> abstracted("Take mug 2 from shelf 1; it costs $4.50, at most 2 are left.")
    'Take mug from shelf; it costs a price, at most 2 are left.'
    >>> abstracted("Return 0 for an empty list.")
    'Return 0 for an empty list.'
    """
    return INSTANCE.sub(_without_number, PRICE.sub("a price", text))


def situation(opening: str, goal: str) -> str:
    r"""Return what an opening observation says of the place: no numbers, no goal, nothing twice.

    >>> situation("You see a cup 2, a cup 1, and a desk 1.\nYour task is to: dust.", "dust.")
    'You see a cup, and a desk.'
    """
    told = " ".join(line.strip() for line in opening.splitlines() if goal not in line)
    return ENUMERATED.sub(r"\1", abstracted(" ".join(told.split())))[:LONGEST_SITUATION]


def lint(item: Item) -> tuple[str, ...]:
    """Return the instances and prices in the words that an item is found by; empty: none."""
    text = text_of(item)
    return (*instances(text), *PRICE.findall(text))


def _found(text: str) -> list["re.Match[str]"]:
    return [found for found in INSTANCE.finditer(text) if _names_a_thing(found)]


def _without_number(found: "re.Match[str]") -> str:
    return found[1] if _names_a_thing(found) else found[0]


def _names_a_thing(found: "re.Match[str]") -> bool:
    word = found[1].casefold()
    return word not in COUNTED and word not in _VERBS
