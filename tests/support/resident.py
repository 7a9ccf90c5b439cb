"""A resident process for tests, and what its forks are asked to do (pipelines/resident/)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.crashes import spawn
from warehouse.home.home import Home

# without what runs import: what is tried is who is let in, and how they are followed
LIGHT = """
import sys
from pathlib import Path
from pipelines.resident import likeness, server
from tests.support.resident import execute
from warehouse.home.home import Home
server.get_ready = lambda home: None
likeness.ROOT = Path(sys.argv[2])
server.serve(Home(Path(sys.argv[1])), execute, None)
"""
CALL = """
import sys
from pathlib import Path
from pipelines.resident import caller, likeness
from warehouse.home.home import Home
likeness.ROOT = Path(sys.argv[2])
code = caller.handed_over(Home(Path(sys.argv[1])), sys.argv[3:])
sys.exit(77 if code is None else code)
"""
BY_ITSELF = 77  # exit code of CALL when nothing was handed over


def execute(words: Sequence[str]) -> int:
    """`tell`: what this process is like; `wait FILE`: until interrupted; `die`: at once; `end N`: with that exit code."""
    if words[0] == "tell":
        mask = os.umask(0)
        os.umask(mask)
        told = {
            "words": list(words),
            "environment": os.environ.get("QALA_LANG"),
            "left over": os.environ.get("QALA_OF_THE_SERVER"),
            "folder": str(Path.cwd()),
            "umask": mask,
            "read": sys.stdin.read(),
            "encoding": sys.stdout.encoding,
            "threads": threading.active_count(),
            "process": os.getpid(),
        }
        sys.stdout.write(json.dumps(told))
        sys.stderr.write("beside it")
    if words[0] == "wait":
        Path(words[1]).write_text(str(os.getpid()))
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            Path(words[1]).write_text("interrupted")
            return 130
    if words[0] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return int(words[1]) if words[0] == "end" else 0


def call(home: Home, root: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """A caller in a process of its own."""
    return spawn("-c", CALL, str(home.root), str(root), *words, **more)


def listening(home: Home, process: subprocess.Popen[str]) -> None:
    """Wait until a resident process listens."""
    while not (home.root / ".resident").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
