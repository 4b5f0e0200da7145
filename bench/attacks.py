"""What hostile code tries: each attack is a small program, and a word on how it must end.

The programs know the host's secrets by name (paths, ports, process ids come in on standard input),
so that one that fails fails because it was shut in. Each prints ESCAPED where it succeeds, and
stops by itself where a missing limit would otherwise harm the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from environments.sandbox.supervise import Verdict

ESCAPED = b"ESCAPED"

PRELUDE = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading, time
host = json.loads(sys.stdin.read())
def escaped(what): print("ESCAPED", what, flush=True)
def tried(what, action):
    try:
        escaped(f"{what}: {action()!r}")
    except (OSError, ValueError, MemoryError) as error:
        print(what, error)
"""

ENDED = frozenset({Verdict.FINISHED})
STOPPED = frozenset({Verdict.TIME, Verdict.KILLED})
ANY_END = frozenset(Verdict)


@dataclass(frozen=True, slots=True)
class Attack:
    source: str
    ends: frozenset[Verdict]  # any of these is how it may end


ATTACKS: Mapping[str, Attack] = {
    "fork bomb": Attack(
        """
for born in range(200):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        break
else:
    escaped("200 processes")
    os.kill(-1, signal.SIGKILL)
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
        STOPPED,
    ),
    "thread bomb": Attack(
        """
for born in range(200):
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except RuntimeError:
        break
else:
    escaped("200 threads")
while True:
    pass
""",
        STOPPED,
    ),
    "memory bomb": Attack(
        """
held = []
try:
    while len(held) < 4096:
        held.append(bytearray(b"x") * 2**20)
    escaped("4 GB")
except MemoryError:
    print("no more after", len(held), "MB")
""",
        frozenset({Verdict.FINISHED, Verdict.MEMORY}),
    ),
    "memory bomb of many processes": Attack(
        """
for born in range(12):
    if os.fork() == 0:
        held = bytearray(b"x") * (200 * 2**20)
        time.sleep(60)
time.sleep(60)
""",
        frozenset({Verdict.MEMORY}),
    ),
    "memory that no process owns": Attack(
        """
libc = ctypes.CDLL(None, use_errno=True)
if libc.shmget(0, 2**20, 0o1600) != -1: escaped("System V memory")
if libc.msgget(0, 0o1600) != -1: escaped("System V queue")
tried("memfd", lambda: os.memfd_create("x"))
tried("/dev/shm", lambda: open("/dev/shm/x", "wb"))
tried("/dev", lambda: open("/dev/x", "wb"))
""",
        ENDED,
    ),
    "a full disk": Attack(
        """
written = 0
try:
    for number in range(1000):
        with open(f"/tmp/{number}", "wb", buffering=0) as file:
            written += file.write(bytes(2**20))
    escaped("1 GB")
except OSError as error:
    print(written, error)
""",
        ENDED,
    ),
    "many open files": Attack(
        """
held = []
try:
    while len(held) < 2000:
        held.append(open("/dev/null"))
    escaped("2000 files")
except OSError as error:
    print(len(held), error)
""",
        ENDED,
    ),
    "endless output": Attack(
        "while True: print('x' * 65536)",
        frozenset({Verdict.OUTPUT}),
    ),
    "endless errors": Attack(
        "while True: print('x' * 65536, file=sys.stderr)",
        frozenset({Verdict.OUTPUT}),
    ),
    "endless loop": Attack("while True: pass", STOPPED),
    "endless loop that ignores signals": Attack(
        """
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    pass
""",
        STOPPED,
    ),
    "silent wait": Attack(
        "os.close(1); os.close(2)\nwhile True: time.sleep(60)",
        STOPPED,
    ),
    "lifting the limits": Attack(
        """
for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE"):
    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    tried(name, lambda: resource.setrlimit(number, (hard + 1, hard + 1)) or "lifted")
tried("nice", lambda: os.nice(-5))
""",
        ENDED,
    ),
    "reading the host's files": Attack(
        """
for path in (host["secret"], "/etc/passwd", "/etc/shadow", "/root/.bashrc", "/proc/1/environ",
             "../" * 20 + host["secret"], "/tmp/../" + host["secret"], "/sys/kernel/notes"):
    tried(path, lambda: open(path, "rb").read(1))
for path in ("/root", "/home", "/var", "/proc", "/run", "/srv", os.path.dirname(host["secret"])):
    tried(path, lambda: os.listdir(path))
""",
        ENDED,
    ),
    "links": Attack(
        """
os.symlink(host["secret"], "/tmp/link")
tried("a link to a secret", lambda: open("/tmp/link").read())
os.symlink("/", "/tmp/up")
tried("a link to the root", lambda: open("/tmp/up" + host["secret"]).read())
tried("a link to write through", lambda: open("/tmp/up/usr/x", "w"))
tried("a hard link", lambda: os.link("/usr/bin/env", "/tmp/env"))
tried("a moved root", lambda: os.chroot("/tmp"))
""",
        ENDED,
    ),
    "writing outside": Attack(
        """
for folder in ("/", "/usr", "/usr/bin", "/etc", "/dev", "/bin", "/lib", "/var/tmp", "/run",
               os.path.dirname(host["secret"])):
    tried(folder, lambda: open(folder + "/planted", "w"))
tried("a program of the system", lambda: open("/usr/bin/env", "ab"))
tried("its removal", lambda: os.remove("/usr/bin/env"))
tried("a device", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)))
""",
        ENDED,
    ),
    "reading the environment": Attack(
        """
if host["variable"] in os.environ: escaped("a variable of the host")
if set(os.environ) - {"HOME", "LANG", "LC_CTYPE", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE",
                      "PYTHONHASHSEED"}:
    escaped(sorted(os.environ))
for process in ("self", "1", str(os.getppid()), str(host["pid"])):
    tried(process, lambda: open(f"/proc/{process}/environ", "rb").read())
""",
        ENDED,
    ),
    "open files of the host": Attack(
        """
for number in range(3, 64):
    tried(f"file {number}", lambda: os.fstat(number))
""",
        ENDED,
    ),
    "network over IPv4": Attack(
        """
for address in ("127.0.0.1", host["address"]):
    tried(address, lambda: socket.create_connection((address, host["port"]), 1))
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tried("a datagram", lambda: datagram.sendto(b"x", ("192.0.2.1", 53)))
""",
        ENDED,
    ),
    "network over IPv6": Attack(
        """
tried("::1", lambda: socket.create_connection(("::1", host["port6"]), 1))
datagram = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
tried("a datagram", lambda: datagram.sendto(b"x", ("2001:db8::1", 53)))
""",
        ENDED,
    ),
    "names": Attack(
        """
tried("a name", lambda: socket.getaddrinfo("example.org", 80))
tried("the resolver's settings", lambda: open("/etc/resolv.conf").read())
""",
        ENDED,
    ),
    "unix sockets": Attack(
        """
for path in (host["socket"], chr(0) + host["abstract"], "/run/docker.sock"):
    tried(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
tried("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
""",
        ENDED,
    ),
    "looking into other processes": Attack(
        """
libc = ctypes.CDLL(None, use_errno=True)
ATTACH, SEIZE, SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 16, 0x4206, 434, 438
for pid in {1, os.getppid(), host["pid"]}:
    for request in (ATTACH, SEIZE):
        if libc.ptrace(request, pid, None, None) != -1: escaped(f"ptrace {pid}")
    page = ctypes.create_string_buffer(16)
    if libc.process_vm_readv(pid, page, 1, page, 1, 0) != -1: escaped(f"memory of {pid}")
    handle = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    if libc.syscall(SYS_PIDFD_GETFD, handle, 0, 0) != -1: escaped(f"a file of {pid}")
    tried(f"memory of {pid}", lambda: open(f"/proc/{pid}/mem", "rb"))
""",
        ENDED,
    ),
    "killing others": Attack(
        """
tried("a process of the host", lambda: os.kill(host["pid"], signal.SIGKILL) or "killed")
for pid in (os.getppid(), 1, -1, 0):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        print(pid, error)
""",
        ANY_END,
    ),
    "a child that outlives its parent": Attack(
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.execv("/usr/bin/sleep", ["sleep", host["marker"]])
    os._exit(0)
os.wait()
time.sleep(0.1)
""",
        ENDED,
    ),
    "becoming root": Attack(
        """
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
libc = ctypes.CDLL(None, use_errno=True)
for call in (os.setuid, os.setgid):
    tried(call.__name__, lambda: call(0) or "done")
if libc.unshare(CLONE_NEWUSER) != -1: escaped("a user namespace")
if libc.unshare(CLONE_NEWNS) != -1: escaped("a mount namespace")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) != -1: escaped("a mount")
if libc.umount2(b"/usr", 2) != -1: escaped("an unmount")
child = subprocess.run(["/usr/bin/su", "-c", "id"], stdin=subprocess.DEVNULL, capture_output=True)
if child.returncode == 0: escaped("su")
""",
        ENDED,
    ),
    "typing into the terminal": Attack(
        """
import fcntl, termios
tried("the terminal", lambda: fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), termios.TIOCSTI, b"x"))
tried("standard input", lambda: fcntl.ioctl(0, termios.TIOCSTI, b"x"))
""",
        ENDED,
    ),
}
