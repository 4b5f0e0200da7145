"""The one kind of error that a user can mend; anything else that is raised is a bug."""

from collections.abc import Collection, Iterable


class UserError(Exception):
    """One line that says what was given, what was wanted, and what to do.

    Subclasses also derive from the builtin that fits, so code that knows nothing of us can
    catch them. The command line prints the message without a traceback.
    """


class UnknownNameError(UserError, LookupError):
    """A name that is not among the known ones."""

    def __init__(self, what: str, name: str, known: tuple[str, ...], advice: str = "") -> None:
        listed = ", ".join(known) or "none yet"
        super().__init__(f"no {what} {name!r}; known: {listed}{advice and f'; {advice}'}")


def refuse_unknown(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """Do nothing where all names are among the known ones.

    Raises:
        UnknownNameError: one is not.
    """
    for name in names:
        if name not in known:
            raise UnknownNameError(what, name, tuple(known))


class ContextFullError(UserError, ValueError):
    """A transcript that the policy cannot hold: its episode ends truncated, others go on."""
