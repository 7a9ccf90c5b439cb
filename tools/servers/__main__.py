"""python -m tools.servers KIND up|down FOLDER."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tools.clusters.processes import ClusterError

KINDS = (
    "http",
    "postgresql",
    "s3",
    "sftp",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.servers", description="A server on this machine.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    kind = importlib.import_module(f"tools.servers.{asked.kind}")
    try:
        said = kind.up(asked.folder) if asked.what == "up" else kind.down(asked.folder)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n" if said is not None else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
