"""`qala serve`: a process that has imported everything, so that runs begin at once. Does not belong here: what it does (pipelines/resident/)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from pipelines.cli.common import HomeOption, app, fail, home_of, out
from pipelines.resident.caller import BY_ITSELF
from warehouse.home.home import Home

_FORKED = f"{__name__}:execute"


@app.command()
def serve(home_folder: HomeOption = None) -> None:
    """Stay, with everything imported, so that `qala run` of this home begins at once; until stopped, or until qala is changed.

    `qala ui` does the same by itself.
    """
    home = home_of(home_folder)
    if not home.root.is_dir():
        raise fail(f"{home.root} does not exist; name the home's folder with --home or QALA_HOME")
    if not hasattr(os, "fork"):
        raise fail("this system cannot fork processes; qala run works without")
    out.print(f"qala run of {home.root} begins at once from now on; Ctrl-C ends this", highlight=False, soft_wrap=True)
    sys.stdout.flush()
    command, environment = resident_command(home)
    os.execve(command[0], command, environment)  # noqa: S606


def resident_command(home: Home, *parent: str) -> tuple[list[str], dict[str, str]]:
    """The command line of a resident process that ends with process `parent`, and its environment."""
    # -P: it imports what this process would, and nothing that happens to lie in the current folder
    command = [sys.executable, "-P", "-m", "pipelines.resident.server", str(home.root), _FORKED, *parent]
    path = os.pathsep.join(p or os.getcwd() for p in sys.path)  # noqa: PTH109
    # one thread of OpenBLAS is no thread beside the first: none may run at a fork
    return command, os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}


def start_beside(home: Home) -> None:
    """Start a resident process that ends with this one, whatever this one becomes. None is started if the environment forbids it."""
    if os.environ.get(BY_ITSELF) == "0" or not hasattr(os, "fork"):
        return
    command, environment = resident_command(home, str(os.getpid()))
    subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603


def execute(words: Sequence[str]) -> int:
    """Run a command line in this process, a fork of the resident one. Returns its exit code."""
    os.environ[BY_ITSELF] = "0"
    try:
        app(args=list(words), prog_name="qala")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
