"""`python -m pipelines.logged PROGRAM …`: run another program, and have each line it writes be one JSON object, as structured_logs.py makes them.

For Dagster's webserver and daemon, which have a JSON of their own (`--log-format json`) and write other lines beside. Signals reach the program, its
exit code is ours. Does not belong here: what this process itself logs.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from connectors.personal_data.detection import harmless, scrubbed

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# a line of Dagster's text format, or of uvicorn's
_LEVEL = re.compile(r"(?:^|\s-\s)(DEBUG|INFO|WARNING|ERROR|CRITICAL)(?:\s-\s|:\s)")


def as_object(line: str, program: str) -> dict[str, Any]:
    """A line as one record: ours as it is, Dagster's JSON under our names, any other as a message of the program."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not isinstance(said, dict):
        plain = _COLOUR.sub("", line).strip()
        level = found[1].lower() if (found := _LEVEL.search(plain)) else "info"
        return {"time": now, "level": level, "logger": program, "message": scrubbed(plain, sure=True)}
    if {"time", "level", "message"} <= said.keys():
        return said
    record = {
        "time": str(said.pop("timestamp", now)),
        "level": str(said.pop("level", "info")).lower(),
        "logger": str(said.pop("logger", program)),
        "message": scrubbed(str(said.pop("event", line)).strip(), sure=True),
    }
    if error := said.pop("exception", None):
        record["error"] = harmless(str(error).strip().rpartition("\n")[2])  # the rest of the traceback may quote a cell
    return record


def main(command: list[str]) -> int:
    """Run the program to its end. Returns its exit code."""
    program = command[2] if command[1:2] == ["-m"] else Path(command[0]).name
    with subprocess.Popen(  # noqa: S603  what it is to run is what it was asked to
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace"
    ) as child:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: child.send_signal(received))
        for line in child.stdout or ():
            if line.strip():
                sys.stderr.write(json.dumps(as_object(line, program), ensure_ascii=False) + "\n")
                sys.stderr.flush()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
