import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.attacks import ATTACKS, ESCAPED, PRELUDE
from bench.sandbox import a_host, processes_with, why_lost
from environments.errors import UserError
from environments.sandbox import bubblewrap
from environments.sandbox.bubblewrap import SandboxError, program
from environments.sandbox.limits import Limits
from environments.sandbox.sandbox import Sandbox
from environments.sandbox.seccomp import CALLS, seccomp_filter
from environments.sandbox.supervise import Verdict
from sandboxes import needs_sandbox

ROOT = Path(__file__).resolve().parent.parent

SHORT = Limits(seconds=30.0, cpu_seconds=5)

HARMLESS = (
    "many open files",
    "network over IPv4",
    "network over IPv6",
    "reading the environment",
    "reading the host's files",
    "unix sockets",
    "killing others",
)
"""Attacks that may be let loose: what they reach is ours, and nothing else suffers."""


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(SHORT)


@pytest.fixture(scope="module")
def battle():
    """Start every attack, four at a time, against one host; give what each achieved."""
    with a_host() as host, ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(why_lost, name, host) for name in ATTACKS}


@needs_sandbox
@pytest.mark.parametrize("name", ATTACKS)
def test_the_sandbox_holds(name, battle):
    assert battle[name].result() is None


@pytest.mark.parametrize("name", HARMLESS)
def test_the_same_attack_succeeds_where_nothing_holds_it(name):
    source = PRELUDE + ATTACKS[name].source.split("for pid in (os.getppid()")[0]
    with a_host() as host:
        done = subprocess.run(
            ["python3", "-c", source],
            input=json.dumps(host).encode(),
            env={host["variable"]: "x", "PATH": os.environ["PATH"]},
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert ESCAPED in done.stdout, done


@pytest.mark.slow
@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_sandbox_holds_for_an_ordinary_user_too(tmp_path):
    home = tmp_path / "checkout"
    for folder in ("bench", "environments"):
        shutil.copytree(ROOT / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (home, *home.parents[:3]):
        path.chmod(0o755)
    someone = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
    done = subprocess.run(
        [*someone, "/usr/bin/python3", "-m", "bench.sandbox", "--quick"],
        cwd=home,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"| attacks_held | {len(ATTACKS)} |" in done.stdout, done


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "verdict", "code"),
    [
        ("print('fine')", Verdict.FINISHED, 0),
        ("raise SystemExit(7)", Verdict.FINISHED, 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Verdict.KILLED, None),
        ("1 / 0", Verdict.FINISHED, 1),
    ],
)
def test_an_end_has_a_verdict_and_where_it_ended_by_itself_a_code(sandbox, source, verdict, code):
    outcome = sandbox.python(source)
    assert (outcome.verdict, outcome.code) == (verdict, code)


@needs_sandbox
def test_a_program_reads_what_it_is_given_and_both_its_voices_are_heard(sandbox):
    echo = "import sys; text = sys.stdin.read(); print(text); print(len(text), file=sys.stderr)"
    outcome = sandbox.python(echo, b"x" * 30_000)
    assert outcome.output == b"x" * 30_000 + b"\n"
    assert outcome.errors == b"30000\n"


@needs_sandbox
def test_processor_time_is_bounded_apart_from_time():
    outcome = Sandbox(Limits(seconds=30.0, cpu_seconds=1)).python("while True: pass")
    assert outcome.verdict is Verdict.KILLED


@needs_sandbox
def test_output_is_kept_as_far_as_the_limit():
    small = Sandbox(Limits(seconds=30.0, output_bytes=1000))
    outcome = small.python("import time; print('y' * 5000, flush=True); time.sleep(60)")
    assert outcome.verdict is Verdict.OUTPUT
    assert outcome.output == b"y" * 1000


@needs_sandbox
def test_each_run_counts_its_own_processes_only():
    source = """
import os, time
born = [os.fork() or (time.sleep(1), os._exit(0)) for _ in range(10)]
print(len(born))
"""
    small = Sandbox(Limits(seconds=60.0, processes=16))
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: small.python(source), range(6)))
    assert [outcome.output for outcome in outcomes] == [b"10\n"] * 6


@needs_sandbox
def test_two_runs_share_nothing(sandbox):
    sandbox.python("open('/tmp/note', 'w').write('hello')")
    assert sandbox.python("import os; print(os.listdir('/tmp'))").output == b"[]\n"


@needs_sandbox
def test_a_masked_directory_looks_empty():
    look = "import os; print(len(os.listdir('/usr/bin')) > 3, os.listdir('/usr/share'))"
    assert Sandbox(SHORT).python(look).output.endswith(b"]\n")
    masked = Sandbox(SHORT, masked=[Path("/usr/share"), Path("/nowhere/else")])
    assert masked.python(look).output == b"True []\n"


@needs_sandbox
def test_nothing_lives_on_when_the_supervisor_is_killed():
    marker = f"8{os.getpid()}.77"
    code = (
        "from environments.sandbox.sandbox import Sandbox\n"
        "from environments.sandbox.limits import Limits\n"
        f"Sandbox(Limits(seconds=60)).run(('/usr/bin/sleep', '{marker}'))"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    _wait_until(lambda: f"/usr/bin/sleep {marker}" in _commands(marker))
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)
    _wait_until(lambda: not processes_with(marker))


@needs_sandbox
def test_a_run_that_nobody_supervises_ends_by_itself(monkeypatch):
    monkeypatch.setattr(bubblewrap, "ORPHANED_S", 0.5)
    marker = f"7{os.getpid()}.77"
    with tempfile.TemporaryFile() as rules:
        rules.write(seccomp_filter())
        rules.seek(0)
        line = bubblewrap.command(
            ("/usr/bin/sleep", marker),
            Limits(seconds=1.0),
            bubblewrap.Sight(),
            filter_fd=rules.fileno(),
            root=os.geteuid() == 0,
        )
        subprocess.run(line, pass_fds=(rules.fileno(),), cwd="/", timeout=60, check=False)
    _wait_until(lambda: not processes_with(marker))


def test_a_missing_program_is_named_with_the_package_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(bubblewrap, "SYSTEM_PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"no bwrap in .*: apt-get install bubblewrap$"):
        program("bwrap")
    with pytest.raises(SandboxError, match=r"no prlimit in .*: apt-get install util-linux$"):
        program("prlimit")


def test_a_processor_without_a_filter_is_refused():
    with pytest.raises(UserError, match=r"no sandbox on s390x: .* x86_64, aarch64"):
        seccomp_filter("s390x")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_exactly_the_calls_that_it_lists(machine):
    column = ("x86_64", "aarch64").index(machine)
    architecture = (0xC000003E, 0xC00000B7)[column]
    refused = {numbers[column] for numbers in CALLS.values()}
    allowed, denied, killed = 0x7FFF0000, 0x00050001, 0x80000000
    for number in range(600):
        wanted = denied if number in refused else allowed
        assert _filtered(machine, number, architecture) == wanted, number
    assert _filtered(machine, 0x40000001, architecture) == denied
    assert _filtered(machine, 1, 0x40000003) == killed  # 32-bit x86


def _filtered(machine, number, architecture):
    """Run the filter as the kernel does."""
    program = seccomp_filter(machine)
    place, register, seen = 0, 0, {0: number, 4: architecture}
    while True:
        code = int.from_bytes(program[8 * place : 8 * place + 2], "little")
        yes, no = program[8 * place + 2], program[8 * place + 3]
        value = int.from_bytes(program[8 * place + 4 : 8 * place + 8], "little")
        place += 1
        match code:
            case 0x20:
                register = seen[value]
            case 0x15:
                place += yes if register == value else no
            case 0x35:
                place += yes if register >= value else no
            case 0x06:
                return value


def _commands(marker):
    """Return the command lines that name the marker."""
    files = (Path("/proc") / pid / "cmdline" for pid in processes_with(marker))
    return [file.read_text().replace("\0", " ").strip() for file in files if file.exists()]


def _wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
