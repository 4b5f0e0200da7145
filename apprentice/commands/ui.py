"""`apprentice ui`: the pages, served from this machine until Ctrl-C."""

from apprentice.serve.listening import LOOPBACK, listen, secret
from apprentice.settings.config import Config
from apprentice.web.app import create_app
from apprentice.web.site import Access, open_site


def show(config: Config, *, edits: bool, as_json: bool) -> None:
    """Serve the pages, and say where; with a token where anyone else could come or write."""
    token = secret(config, always=edits)
    access = Access(
        token=token, edits=edits, hosts=LOOPBACK if config.windows.host in LOOPBACK else ()
    )
    with open_site(config, access) as site:
        query = f"/?token={token}" if token else "/"
        listen(create_app(site), config, config.windows.ui_port, query, as_json=as_json)
