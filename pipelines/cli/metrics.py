"""`qala metrics`: how the home stands, for Prometheus. Does not belong here: what is measured (pipelines/metrics/)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipelines.cli.common import HomeOption, app, fail, home_of, out

LOOPBACK = "127.0.0.1"


@app.command()
def metrics(
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve them on http://HOST:PORT/metrics until stopped")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to serve on: by itself none that other machines reach")] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0: any that is free")] = 9469,
    home_folder: HomeOption = None,
) -> None:
    """How the home stands in numbers, as Prometheus reads them: printed, or served to be scraped. Opens no warehouse and waits for no run."""
    from pipelines.metrics.collecting import text

    home = home_of(home_folder)
    if not home.root.is_dir():
        raise fail(f"{home.root} does not exist; name the home's folder with --home or QALA_HOME")
    if not serve:
        sys.stdout.write(text(home))
        return
    from pipelines.listening import ListeningError, refuse_port
    from pipelines.metrics.endpoint import Endpoint

    try:
        if port:
            refuse_port(host, port)
    except ListeningError as error:
        raise fail(error) from None
    endpoint = Endpoint(home, host, port)
    out.print(f"metrics of {home.root}: http://{host}:{endpoint.port}/metrics", highlight=False, soft_wrap=True)
    endpoint.serve()
