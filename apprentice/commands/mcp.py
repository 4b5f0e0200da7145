"""`apprentice mcp`: memory for other agents, over standard input or HTTP."""

from mcp.server.transport_security import TransportSecuritySettings

from apprentice.build import make_bank, make_store, now
from apprentice.serve.listening import LOOPBACK, behind_token, listen, secret
from apprentice.serve.mcp_server import Library, create_server
from apprentice.settings.config import Config


def serve_mcp(config: Config, *, http: bool) -> None:
    """Serve until the other side hangs up, or over HTTP until Ctrl-C."""
    with make_store(config) as store, make_bank(config) as bank:
        server = create_server(Library(store, bank, config.environment.name, now))
        if not http:
            server.run("stdio")
            return
        here = config.windows.host in LOOPBACK
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=here,
            allowed_hosts=[f"{name}:*" for name in LOOPBACK],
            allowed_origins=[f"http://{name}:*" for name in LOOPBACK],
        )
        app = server.streamable_http_app(transport_security=security)
        token = secret(config)
        guarded = behind_token(app, token)
        path = f"/mcp   (Authorization: Bearer {token})" if token else "/mcp"
        listen(guarded, config, config.windows.mcp_port, path, as_json=False)
