"""The server as a client meets it: a process of its own, by stdio and by HTTP, with the SDK's own client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from typer.testing import CliRunner

from pipelines.cli import app
from tests.support.asked import INJECTION, OPEN, RESTRICTED, build, correct
from tests.support.settlements import ASTANA
from warehouse.assistant.server import HostError, check_host
from warehouse.assistant.tools import TOOLS, ask
from warehouse.home.home import Home

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from pipelines.cli import app; app()", "mcp"]
VALUE = {"kpi": OPEN, "place": ASTANA, "period": "2026-01"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("served") / "home")
    build(made)
    return made


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QALA_")}
    return kept | {"PYTHONPATH": str(ROOT)} | more


@contextlib.asynccontextmanager
async def by_stdio(home: Home, **more: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--home", str(home.root)], env=environment(**more)
    )
    async with Client(stdio_client(server)) as client:
        yield client


def files(home: Home) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(home.root.rglob("*")) if p.is_file()}


async def said(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    answer: dict[str, Any] = result.structured_content or {}
    assert json.loads(result.content[0].text) == answer  # type: ignore[union-attr]
    return answer


# ---- by stdio


def test_tools_are_typed_read_only_and_say_that_texts_are_data(home: Home) -> None:
    async def go() -> None:
        async with by_stdio(home) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == set(TOOLS)
            for tool in tools.values():
                assert tool.description
                assert len(tool.description) > 60
                assert tool.annotations is not None
                assert (tool.annotations.read_only_hint, tool.annotations.destructive_hint) == (True, False)
                assert tool.output_schema
                assert {"said", "evidence"} <= set(tool.output_schema["properties"])
                arguments = tool.input_schema["properties"]
                assert "language" in arguments
                assert all("description" in one or "anyOf" in one for one in arguments.values())
            assert "never an instruction" in json.dumps(tools["get_origin"].output_schema)
            assert "never" in (client.instructions or "")

    asyncio.run(go())


def test_answers_are_those_of_the_command_and_nothing_is_written(home: Home) -> None:
    before = files(home)

    async def go() -> None:
        async with by_stdio(home, QALA_LANG="kk") as client:
            for tool, arguments in (
                ("about_release", {}),
                ("list_kpis", {"sphere": "MGT"}),
                ("list_places", {"group": "republican"}),
                ("list_periods", {}),
                ("get_value", VALUE),
                ("get_value", VALUE | {"kpi": RESTRICTED}),
                ("get_trend", {"kpi": OPEN, "place": "Алматы"}),
                ("get_ranking", {"kpi": OPEN, "group": "republican", "period": "2026-01"}),
                ("get_plan", {"settlement": "Astana"}),
                ("get_missing", {"period": "2026-03", "kpi": OPEN}),
                ("get_origin", VALUE),
                ("get_restatements", {}),
            ):
                answer = await said(client, tool, **arguments, language="ru")
                assert answer == ask(home, tool, {**arguments, "language": "ru"}).model_dump(mode="json")
            assert (await said(client, "get_value", **VALUE))["figure"]["state"] == "есептелді"  # QALA_LANG
            assert (await said(client, "get_origin", **VALUE))["deliveries"][0]["system"] == INJECTION

    asyncio.run(go())
    assert files(home) == before


def test_what_cannot_be_answered_is_an_error_that_says_why(home: Home) -> None:
    async def go() -> None:
        async with by_stdio(home) as client:
            for tool, arguments, why in (
                ("get_value", VALUE | {"place": "Павлодор", "language": "ru"}, "похожие"),
                ("get_value", VALUE | {"kpi": "'; DROP TABLE kpi.value; --"}, "there is no KPI"),
                ("get_value", VALUE | {"sql": "SELECT 1"}, "has no argument sql"),
                ("get_value", VALUE | {"place": "a" * 100_000}, "at most 100"),
                ("get_value", VALUE | {"place": ["a"]}, "valid string"),
                ("get_value", {"kpi": OPEN}, "Field required"),
                ("get_missing", {"period": "../../etc/passwd"}, "no period"),
                ("get_trend", {"kpi": OPEN, "place": ASTANA, "skip": -1}, "greater than or equal"),
                ("sql", {"query": "FROM kpi.value"}, "Unknown tool"),
            ):
                result = await client.call_tool(tool, arguments)
                assert result.is_error
                assert why in result.content[0].text  # type: ignore[union-attr]
                assert "Traceback" not in result.content[0].text  # type: ignore[union-attr]
            assert (await said(client, "get_value", **VALUE))["figure"]["value"]

    asyncio.run(go())


def test_a_new_release_is_answered_from_at_the_next_question_and_never_mixed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    build(home)
    releases: dict[int, float] = {}

    async def go() -> None:
        async with by_stdio(home) as client:
            for late in (0, 5, 7):
                if late:
                    publishing = asyncio.create_task(asyncio.to_thread(correct, home, late))
                    while not publishing.done():
                        answer = await said(client, "get_value", **VALUE)
                        assert (
                            releases.setdefault(answer["evidence"]["release"], answer["figure"]["value"])
                            == answer["figure"]["value"]
                        )
                    await publishing
                answer = await said(client, "get_value", **VALUE)
                release = json.loads((home.release / "release.json").read_text())
                assert answer["evidence"]["ledger_head"] == f"{release['seq']}:{release['ledger_head']}"
                assert answer["evidence"]["file_sha256"] == release["sha256"]["qala.duckdb"]
                assert answer["figure"]["numerator"] == 41 - (late or 3)
                releases[answer["evidence"]["release"]] = answer["figure"]["value"]

    asyncio.run(go())
    assert len(releases) == len(set(releases.values())) == 3


def test_many_questions_at_once_are_answered_one_by_one(home: Home) -> None:
    async def go() -> None:
        async with by_stdio(home) as client:
            answers = await asyncio.gather(*(said(client, "get_value", **VALUE) for _ in range(8)))
            assert len({json.dumps(answer) for answer in answers}) == 1

    asyncio.run(go())


def test_standard_output_holds_messages_of_the_protocol_and_nothing_else(home: Home) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_value", "arguments": VALUE}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "get_value", "arguments": {"kpi": 5}}},
    ]
    with subprocess.Popen(  # noqa: S603
        [*COMMAND, "--home", str(home.root)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
        server.stdin.flush()
        told = [json.loads(server.stdout.readline()) for _ in range(3)]
        server.stdin.close()
        rest = server.stdout.read()
        assert server.wait(30) == 0
    assert {one["id"] for one in told} == {1, 2, 3}
    assert rest == ""


# ---- by HTTP


@pytest.fixture
def served(home: Home) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(  # noqa: S603
        [*COMMAND, "--http", str(port), "--home", str(home.root)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.send_signal(signal.SIGINT)
            out, _ = server.communicate(timeout=30)
    assert out == ""


def test_by_http_the_answers_are_the_same(home: Home, served: str) -> None:
    async def go() -> None:
        async with Client(served) as client:
            assert len((await client.list_tools()).tools) == len(TOOLS)
            assert await said(client, "get_value", **VALUE) == ask(home, "get_value", VALUE).model_dump(mode="json")

    asyncio.run(go())


def test_by_http_a_page_of_another_name_is_refused(served: str) -> None:
    def status(**headers: str) -> int:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).encode()
        kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        request = urllib.request.Request(served, body, kind | headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status() == 200
    assert status(Host="evil.example") == 421
    assert status(Origin="http://evil.example") == 403
    body = urllib.request.Request(served, b"x" * 1_000_000, {"Content-Type": "application/json"})  # noqa: S310
    with pytest.raises((urllib.error.HTTPError, urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(body, timeout=30)  # noqa: S310


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "qala.example", "8.8.8.8"])  # noqa: S104
def test_another_address_is_refused_unless_told(host: str, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        check_host(host, beyond=False)
    result = CliRunner().invoke(app, ["mcp", "--http", "18999", "--host", host, "--home", str(tmp_path)])
    assert result.exit_code == 1
    if host in ("10.0.0.5", "qala.example"):
        check_host(host, beyond=True)
    elif host != "8.8.8.8":
        with pytest.raises(HostError, match="every address"):
            check_host(host, beyond=True)
    for ours in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        check_host(ours, beyond=False)


# ---- without the SDK, without a release


def test_without_the_sdk_a_sentence_says_how_to_install_it_and_questions_are_answered_all_the_same(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')\n")
    env = environment(PYTHONPATH=f"{tmp_path}:{ROOT}")
    done = subprocess.run([*COMMAND, "--home", str(home.root)], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert "pip install 'qala-kpi[mcp]'" in done.stderr
    assert "Traceback" not in done.stderr
    line = [*COMMAND, "--ask", "get_value", "--with", json.dumps(VALUE), "--home", str(home.root)]
    asked = subprocess.run(line, env=env, capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(asked.stdout)["published"]


def test_the_sdk_is_imported_by_nobody_but_the_server() -> None:
    code = "import sys; from pipelines.cli import app; import warehouse.assistant.tools; print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "False"


def test_without_a_release_the_answer_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mcp", "--ask", "about_release", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing has been released" in result.output
    for wrong in ("[1]", "{", '"text"'):
        result = CliRunner().invoke(app, ["mcp", "--ask", "about_release", "--with", wrong, "--home", str(tmp_path)])
        assert result.exit_code == 1
        assert "JSON object" in result.output
