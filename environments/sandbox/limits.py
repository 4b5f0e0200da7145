"""What untrusted code may use, as a value.

Every bound holds for all processes of one run together, except where it says otherwise.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    seconds: float = 10.0  # by the clock on the wall
    cpu_seconds: int = 10  # of processor time, each process
    memory_mb: int = 512  # resident in all processes, and the address space of each
    processes: int = 24  # at once, threads and bubblewrap's own one included
    open_files: int = 64  # each process
    disk_mb: int = 32  # the whole temporary directory; it is in memory
    output_bytes: int = 65_536  # standard output and standard error, each
