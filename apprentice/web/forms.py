"""What a review action must bring: leave to edit, and the seal that only our own forms carry."""

from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import RedirectResponse

from apprentice.web.guard import same
from apprentice.web.site import Access
from environments.errors import UserError

LARGEST = 100_000
"""Bytes of a form: a note of some pages."""


class ForbiddenError(UserError, PermissionError):
    """A change that is not allowed here."""


async def filled(access: Access, request: Request) -> dict[str, str]:
    """Return the fields of a form of ours.

    Raises:
        ForbiddenError: nothing may be changed, or the form is another site's.
    """
    if not access.edits:
        raise ForbiddenError("these pages are for reading; begin them with --allow-edits")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise ForbiddenError(f"the form is larger than {LARGEST} bytes; write less")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not same(fields.pop("seal", ""), access.seal):
        raise ForbiddenError("this form was not made by this page; load the page again")
    return fields


def done(where: str) -> RedirectResponse:
    """Return the way to the page that shows what was asked for, or changed."""
    return RedirectResponse(where, 303)
