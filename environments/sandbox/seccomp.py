"""A filter that refuses the system calls with which code looks into others or hoards memory.

Namespaces already hide the host. The filter keeps processes inside one run apart (a test must not
be read or altered by the code it judges), closes kinds of memory that no limit counts, and takes
away doors of the kernel that no program under test needs.
"""

import platform
import struct

from environments.sandbox.bubblewrap import SandboxError

EPERM = 1
ALLOW = 0x7FFF_0000
REFUSE = 0x0005_0000 | EPERM
KILL = 0x8000_0000
"""What a filter returns (linux/seccomp.h)."""

LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
"""The four instructions used: ld [k], jeq, jge, ret (linux/bpf_common.h)."""

NUMBER, ARCHITECTURE = 0, 4
"""Where `struct seccomp_data` holds the call and its architecture."""

X32 = 0x4000_0000
"""From here on x86-64 numbers its calls a second time; nothing uses them but to slip through."""

CALLS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "move_mount": (429, 429),
    "msgget": (68, 186),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
"""The refused calls: their numbers on x86-64 and on 64-bit ARM (the kernel's syscall tables)."""

MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}
"""By machine: the value of AUDIT_ARCH, and the column in `CALLS`."""


def seccomp_filter(machine: str = "") -> bytes:
    """Return the filter as the kernel reads it.

    Args:
        machine: as `platform.machine()` says it; empty: this one.

    Raises:
        SandboxError: there is none for this processor.
    """
    machine = machine or platform.machine()
    if machine not in MACHINES:
        known = ", ".join(MACHINES)
        raise SandboxError(f"no sandbox on {machine}: its filter is known for {known}; use one")
    architecture, column = MACHINES[machine]
    numbers = [each[column] for each in CALLS.values()]
    tests = [(AT_LEAST, X32), *((EQUAL, number) for number in numbers)]
    return b"".join(
        [
            _instruction(LOAD, ARCHITECTURE),
            _instruction(EQUAL, architecture, jump_true=1),
            _instruction(RETURN, KILL),
            _instruction(LOAD, NUMBER),
            # Each test that holds jumps over the tests behind it and the ALLOW, to the refusal.
            *(
                _instruction(code, value, jump_true=len(tests) - place)
                for place, (code, value) in enumerate(tests)
            ),
            _instruction(RETURN, ALLOW),
            _instruction(RETURN, REFUSE),
        ]
    )


def _instruction(code: int, value: int, *, jump_true: int = 0) -> bytes:
    return struct.pack("HBBI", code, jump_true, 0, value)
