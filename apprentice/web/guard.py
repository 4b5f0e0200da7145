"""Who is let in, and what a page may do: decided before any page is made.

A page may load what this server gives it and nothing else, so words of a transcript that look like
a script stay words even if an escape were forgotten.
"""

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from apprentice.web.site import Access

COOKIE = "apprentice_token"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Next = Callable[[Request], Awaitable[Response]]


def guard(access: Access) -> Callable[[Request, Next], Awaitable[Response]]:
    """Return what stands before every page."""

    async def admit(request: Request, go_on: Next) -> Response:
        response = refusal(access, request) or _entered(access, request) or await go_on(request)
        response.headers.update(HEADERS)
        return response

    return admit


def refusal(access: Access, request: Request) -> Response | None:
    """Return why a visitor is sent away, or None."""
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if access.hosts and name not in access.hosts:
        return PlainTextResponse(f"this server is not {name!r}", 403)
    if not access.token or _known(access, request):
        return None
    return PlainTextResponse(
        "a token is needed: open the address that `apprentice ui` printed", 401
    )


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def bearer(request: Request) -> str:
    """Return the token in the header, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _known(access: Access, request: Request) -> bool:
    given = (
        request.query_params.get("token", ""),
        request.cookies.get(COOKIE, ""),
        bearer(request),
    )
    return any(same(each, access.token) for each in given)


def _entered(access: Access, request: Request) -> Response | None:
    """Return the way to the same page without the token in its address, which a browser keeps."""
    if not access.token or "token" not in request.query_params:
        return None
    rest = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
    where = f"{request.url.path}?{urlencode(rest)}" if rest else request.url.path
    response = RedirectResponse(where, 303)
    response.set_cookie(COOKIE, access.token, httponly=True, samesite="strict")
    return response
