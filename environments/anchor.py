"""Where a signal comes from: the one thing to know before trusting it.

Every score, critique, lesson and training sample names its anchor, because a model that trusts only
itself grows confident, not better.
"""

from enum import StrEnum


class Anchor(StrEnum):
    """The source of a signal, the most trustworthy first."""

    ENVIRONMENT = "environment"  # the world's own check said so: it is solved, the tests pass
    TOOL = "tool"  # a program that is not the model computed it: an interpreter, a solver, a search
    HUMAN = "human"  # a person scored, corrected or annotated it
    THIRD_PARTY_JUDGE = "third-party judge"  # another model judged; its errors differ from ours
    PAST_POLICY = "past policy"  # an earlier promoted version of the model judged or competed
    SELF = "self"  # the model judged its own work, with or without a hint

    @property
    def external(self) -> bool:
        """Whether it comes from outside the current model."""
        return self is not Anchor.SELF
