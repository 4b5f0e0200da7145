"""The end of a process that plays for us: asked to stop first, and killed where it does not."""

from subprocess import Popen, TimeoutExpired


def stop(process: Popen[bytes], quiet_s: float) -> None:
    """Close the pipes of a process, by which it knows that it is over, and wait for its end.

    Args:
        process: the one to stop.
        quiet_s: how long it may tidy up before it is killed.
    """
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(quiet_s)
    except TimeoutExpired:
        process.kill()
        process.wait()
