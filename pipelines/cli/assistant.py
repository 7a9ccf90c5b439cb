"""`qala mcp`: a release served to assistants, or one question of theirs answered here."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from pipelines.cli.common import HomeOption, LanguageOption, app, err, fail, home_of
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import LanguageError
from warehouse.version import qala_version

_EXTRA = "qala mcp needs the SDK of the protocol, which is an extra of the package: pip install 'qala-kpi[mcp]'"


@app.command()
def mcp(
    http: Annotated[
        int | None,
        typer.Option(
            "--http", min=1, max=65535, help="By HTTP on this port of this machine; left out: by stdio", metavar="PORT"
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="With --http: address to listen on")] = "127.0.0.1",
    beyond: Annotated[
        bool,
        typer.Option(
            "--beyond-this-machine",
            help="With --host: an address that other machines reach; nobody is asked who they are",
        ),
    ] = False,
    ask: Annotated[
        str | None, typer.Option("--ask", help="Answer one question of this tool as JSON, and end", metavar="TOOL")
    ] = None,
    arguments: Annotated[
        str, typer.Option("--with", help="With --ask: the tool's arguments as JSON", metavar="JSON")
    ] = "{}",
    language: LanguageOption = "",
    home_folder: HomeOption = None,
) -> None:
    """Serve the release to an assistant (Model Context Protocol), read-only, every answer with its evidence."""
    home = home_of(home_folder)
    if ask is not None:
        _answer(home, ask, arguments, language)
        return
    try:
        from warehouse.assistant.server import HostError, check_host, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise fail(_EXTRA) from None
    try:
        check_host(host, beyond=beyond)
    except HostError as error:
        raise fail(error) from None
    if http is not None:
        err.print(
            f"http://{host}:{http}/mcp serves {home.released_file}; end it with Ctrl-C", highlight=False, soft_wrap=True
        )
    serve(home, qala_version(), language, host=host, port=http)


def _answer(home: Home, tool: str, arguments: str, language: str) -> None:
    from warehouse.assistant.question import AnswerError
    from warehouse.assistant.tools import ask

    try:
        given = json.loads(arguments)
        if not isinstance(given, dict):
            raise ValueError
    except ValueError:
        raise fail('--with takes the arguments as a JSON object: --with \'{"period": "2025-06"}\'') from None
    try:
        sys.stdout.write(ask(home, tool, given, language).model_dump_json(indent=2) + "\n")
    except (AnswerError, StoreError, LanguageError) as error:
        raise fail(error) from None
