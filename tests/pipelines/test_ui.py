"""The Dagster UI as qala starts it: on this machine alone unless somebody says otherwise, and read-only when it says so."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app, ui
from warehouse.home.account import account, shown

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("127.8.8.8", True), ("localhost", True), ("0.0.0.0", False), ("::", False),  # noqa: S104
     ("10.0.0.5", False), ("localhost.example.kz", False), ("", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, alone: bool) -> None:
    assert ui.is_loopback(host) is alone


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("host", [None, "0.0.0.0"])  # noqa: S104
def test_the_address_is_given_to_dagster_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str | None, read_only: bool
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: started.append(words))
    residents: list[Any] = []
    monkeypatch.setattr(ui, "start_beside", residents.append)
    for name in ("DAGSTER_WEBSERVER_HOST", "DAGSTER_HOME", "QALA_HOME"):
        monkeypatch.setenv(name, "0.0.0.0")  # noqa: S104  of no effect
    words = [
        "ui",
        "--home",
        str(tmp_path),
        *(["--read-only"] if read_only else []),
        *(["--host", host] if host else []),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (command,) = started
    assert bool(residents) is not read_only  # auditors start no runs
    assert command[command.index("-h") + 1] == (host or "127.0.0.1")
    assert ("pipelines.read_only_ui" in command) is read_only
    said = " ".join(done.output.split())
    assert ("this machine alone" in said) is (host is None)
    assert ("warning" in said and shown(account()) in said) is (host is not None)


# ---- a server that really runs

_INTROSPECTION = """{__schema{mutationType{fields{name args{name type{...T}} type{...T}}} types{kind name enumValues{name}
inputFields{name type{...T}}}}} fragment T on __Type{kind name ofType{kind name ofType{kind name ofType{kind name}}}}"""


class _Server:
    def __init__(self, port: int):
        self.base = f"http://127.0.0.1:{port}"

    def ask(self, path: str, data: Any = None, method: str | None = None) -> tuple[int, str]:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path, body, {"content-type": "application/json"}, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    home = tmp_path_factory.mktemp("ui") / "home"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home.parent / "log"
    words = [sys.executable, "-c", "from pipelines.cli import app; app()", "ui", "--read-only", "--port", str(port), "--home", str(home)]  # fmt: skip
    with log.open("wb") as sink:
        process = subprocess.Popen(words, cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True)  # noqa: S603
    found = _Server(port)
    try:
        for _ in range(240):
            time.sleep(0.5)
            try:
                found.ask("/server_info")
                break
            except OSError:
                assert process.poll() is None, log.read_text()
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _sample(kind: dict[str, Any], types: dict[str, Any]) -> Any:
    """A value of a type, as small as it may be."""
    if kind["kind"] == "NON_NULL":
        return _sample(kind["ofType"], types)
    if kind["kind"] == "LIST":
        return [_sample(kind["ofType"], types)]
    if kind["kind"] == "ENUM":
        return types[kind["name"]]["enumValues"][0]["name"]
    if kind["kind"] == "INPUT_OBJECT":
        fields = types[kind["name"]]["inputFields"]
        return {f["name"]: _sample(f["type"], types) for f in fields if f["type"]["kind"] == "NON_NULL"}
    return {"Int": 1, "Boolean": True, "Float": 1.0, "RunConfigData": {}}.get(kind["name"], "x")


def _written(kind: dict[str, Any]) -> str:
    if kind["kind"] == "NON_NULL":
        return _written(kind["ofType"]) + "!"
    return f"[{_written(kind['ofType'])}]" if kind["kind"] == "LIST" else str(kind["name"])


def _mutations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every mutation of a schema: name, document, variables."""
    types = {t["name"]: t for t in schema["types"]}
    for field in schema["mutationType"]["fields"]:
        result = field["type"]
        while result.get("ofType"):
            result = result["ofType"]
        given = ", ".join(f"${a['name']}: {_written(a['type'])}" for a in field["args"])
        used = ", ".join(f"{a['name']}: ${a['name']}" for a in field["args"])
        document = f"mutation{f'({given})' if given else ''} {{{field['name']}{f'({used})' if used else ''}"
        document += (" {__typename}" if result["kind"] in ("OBJECT", "UNION", "INTERFACE") else "") + "}"
        yield field["name"], document, {a["name"]: _sample(a["type"], types) for a in field["args"]}


@pytest.mark.slow
def test_the_read_only_ui_shows_everything_and_refuses_every_mutation_of_its_schema(server: _Server) -> None:
    status, text = server.ask("/graphql", {"query": "{assetsOrError{... on AssetConnection{nodes{key{path}}}}}"})
    assert status == 200
    assert "data" in json.loads(text)
    schema = json.loads(server.ask("/graphql", {"query": _INTROSPECTION})[1])["data"]["__schema"]
    tried = list(_mutations(schema))
    names = {name for name, _, _ in tried}
    assert len(names) > 30
    assert {
        "launchRun", "terminateRun", "wipeAssets", "startSensor", "setAutoMaterializePaused", "deleteRun", "addDynamicPartition",
        "freeConcurrencySlots", "setNuxSeen", "logTelemetry",
    } <= names  # fmt: skip
    for name, document, variables in tried:
        status, text = server.ask("/graphql", {"query": document, "variables": variables})
        told = json.loads(text)
        assert (status, told["data"]) == (400, None), name
        assert [e["message"] for e in told["errors"]] == [
            "this UI is read-only: nothing can be started or changed here"
        ]
    # beside a query, under another name, in a link
    two = {"query": "query A {version} mutation B {setNuxSeen}", "operationName": "A"}
    assert server.ask("/graphql", two)[0] == 400
    assert server.ask("/graphql", two | {"operationName": "B"})[0] == 400
    assert server.ask("/graphql?query=mutation%7BsetNuxSeen%7D")[0] == 400


@pytest.mark.slow
def test_the_read_only_ui_takes_no_events_and_gives_out_no_files(server: _Server) -> None:
    for what in ("materialization/release", "check/release", "observation/release"):
        status, _ = server.ask(f"/report_asset_{what}", {"check_name": "x", "passed": True}, "POST")
        assert status in (400, 401), what
    for path in (
        "/logs/..%2fkeys%2farchive/key", "/logs/%2e%2e/%2e%2e/warehouse/duckdb", "/logs//etc/passwd/x", "/logs/..%2fdagster/yaml",
        "/notebook?path=/etc/x.ipynb&repoLocName=pipelines", "/download_debug/none",
    ):  # fmt: skip
        status, text = server.ask(path)
        assert status >= 400, (path, text[:200])
