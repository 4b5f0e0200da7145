"""The pages behind `apprentice ui`, joined into one application that only reads unless allowed."""

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from apprentice.web import episodes, overview, runs, skills, weights
from apprentice.web.forms import ForbiddenError
from apprentice.web.guard import guard
from apprentice.web.site import Site
from apprentice.web.words import STATIC, compile_templates, page
from environments.errors import UnknownNameError, UserError
from memory.store.errors import UnknownIdError

BAD, FORBIDDEN, MISSING = 400, 403, 404


def create_app(site: Site) -> FastAPI:
    """Return the application that shows this site."""
    app = FastAPI(title="apprentice", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(guard(site.access))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for module in (overview, episodes, skills, weights, runs):
        app.include_router(module.routes(site))

    compile_templates()
    overview.front(site)  # loads what pages need, so that the first visitor does not wait for it

    @app.exception_handler(UserError)
    def mendable(_: Request, error: UserError) -> HTMLResponse:
        return page(site, "error.html", status=_status(error), words=str(error))

    @app.exception_handler(HTTPException)
    def missing(_: Request, error: HTTPException) -> HTMLResponse:
        return page(site, "error.html", status=error.status_code, words=error.detail)

    return app


def _status(error: UserError) -> int:
    if isinstance(error, ForbiddenError):
        return FORBIDDEN
    return MISSING if isinstance(error, UnknownIdError | UnknownNameError) else BAD
