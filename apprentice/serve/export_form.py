"""What a row of an export is: apart, so that the command line knows the words and nothing heavy."""

from enum import StrEnum


class Form(StrEnum):
    """What a row is."""

    EPISODES = "episodes"  # messages: a whole attempt, however it ended
    DEMONSTRATIONS = "demonstrations"  # prompt, completion: each step of the solved ones
    PREFERENCES = "preferences"  # prompt, chosen, rejected: where a solved one left another
    PRIVILEGED = "privileged"  # prompt, privileged_context, completion: with a critic's hint
