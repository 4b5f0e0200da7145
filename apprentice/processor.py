"""What this machine's processor can do, as far as the system lists it."""

from pathlib import Path

LISTING = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def features() -> set[str]:
    """Return the processor's features; empty where the system does not list them."""
    if not LISTING.exists():
        return set()
    lines = LISTING.read_text(encoding="utf-8").splitlines()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def multiplies_bfloat16() -> bool:
    """Whether products of bfloat16 are known to be computed in hardware."""
    return bool(BFLOAT16 & features())
