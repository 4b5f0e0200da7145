"""`apprentice ui`, `mcp` and `serve`: the flags of the windows on what was learned."""

from pathlib import Path
from typing import Annotated

import typer

from apprentice.cli.flags import File, Home, Json, settings
from apprentice.serve.export_form import Form

app = typer.Typer(
    rich_markup_mode=None,
)

Host = Annotated[
    str | None,
    typer.Option(help="Where to listen [127.0.0.1]; any other address asks for a token."),
]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any that is free.")]


@app.command()
def ui(
    host: Host = None,
    port: Port = None,
    allow_edits: Annotated[
        bool, typer.Option("--allow-edits", help="Offer to approve, retire and annotate.")
    ] = False,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Look at episodes, memories, adapters and runs in a browser."""
    from apprentice.commands.ui import show

    windows = {"host": host, "ui_port": port}
    show(settings(home, config, windows=windows), edits=allow_edits, as_json=json)


@app.command()
def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Over streamable HTTP instead of standard input.")
    ] = False,
    host: Host = None,
    port: Port = None,
    home: Home = None,
    config: File = None,
) -> None:
    """Let other agents search memory, report outcomes and propose lessons (MCP)."""
    from apprentice.commands.mcp import serve_mcp

    windows = {"host": host, "mcp_port": port}
    serve_mcp(settings(home, config, windows=windows), http=http)


@app.command()
def serve(
    policy: Annotated[
        str | None, typer.Option(help="Who answers [the promoted adapter of the local model].")
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(help="Pass requests on to this OpenAI-compatible address, briefed, recorded."),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="The world whose memory is told [household].")
    ] = None,
    host: Host = None,
    port: Port = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Answer OpenAI's chat completions with the promoted policy and its memory."""
    from apprentice.commands.serve import serve_chat

    windows = {"host": host, "serve_port": port, "upstream": upstream}
    chosen = settings(home, config, policy=policy, env=env, windows=windows)
    serve_chat(chosen, as_json=json)


@app.command()
def export(
    form: Annotated[Form, typer.Argument(help="What a row is.")],
    to: Annotated[Path, typer.Argument(help="FILE.jsonl, or FILE.parquet.")],
    env: Annotated[
        str | None, typer.Option("--env", help="The world whose rules lead each row [household].")
    ] = None,
    home: Home = None,
    config: File = None,
    json: Json = False,
) -> None:
    """Write what was lived as rows for other trainers (TRL's conversational forms)."""
    from apprentice.commands.export import export as write

    write(settings(home, config, env=env), form, to, as_json=json)
