"""datacontract-cli, which reads the release with DuckDB 1, in an environment of its own: `.venv-datacontract`, made by the Makefile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_PLACE = ROOT / ".venv-datacontract"
_MAKING = 600  # seconds
# one process for all contracts: each start of the command takes seconds
_ASK = """
import json, logging, os, sys
from datacontract.data_contract import DataContract
logging.disable(logging.CRITICAL)
how, *files = sys.argv[1:]
found = {}
for file in files:
    run = getattr(DataContract(data_contract_file=file), how)()
    found[os.path.basename(file)] = [[c.result.value, c.type, c.name, c.reason or ""] for c in run.checks]
print(json.dumps(found))
"""


def python() -> Path:
    """The environment's Python; made if it is not there. Skips the test if it cannot be made."""
    try:
        made = subprocess.run(  # noqa: S603
            ["make", "-s", "-C", str(ROOT), ".venv-datacontract/.installed"],  # noqa: S607
            capture_output=True, text=True, timeout=_MAKING, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the environment of datacontract-cli cannot be made here: {error}")
    if made.returncode:
        pytest.skip(f"the environment of datacontract-cli cannot be made here: {made.stderr.strip()[-300:]}")
    return _PLACE / "bin" / "python"


def ask(how: str, files: list[Path], **variables: str) -> dict[str, list[list[Any]]]:
    """`lint` or `test` of contracts: file name → (result, type, name, reason) of each check."""

    done = subprocess.run(  # noqa: S603
        [python(), "-c", _ASK, how, *map(str, files)], env=os.environ | variables, capture_output=True, text=True, timeout=900, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[list[Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found
