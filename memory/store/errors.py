"""What can go wrong with a store that its owner can mend."""

from environments.errors import UserError


class StoreError(UserError, OSError):
    """The database cannot be opened, read or written."""


class UnknownIdError(UserError, LookupError):
    """No record has this id, or several have ids that begin so."""
