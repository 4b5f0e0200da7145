"""Which weights learn: a choice that settings and lineages name without loading any model."""

from enum import StrEnum


class Trained(StrEnum):
    FULL = "full"  # all between the embeddings
    LORA = "lora"  # low-rank adapters beside them
