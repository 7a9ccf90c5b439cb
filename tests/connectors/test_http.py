"""Extracts of an HTTP API: every style of paging, every failure; an answer is whole or nothing of it counts."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources import http, http_line
from connectors.sources.pages import read_page
from connectors.sources.source import Fetched, SourceError
from tests.support.cutting_proxy import Line, line_to
from tests.support.sources import NAME, asked, contents, everything_said, opened, told
from tools.servers import http_api
from tools.servers.http_api import Api, made_up, serving

SECRETS = (http_api.TOKEN, http_api.PASSWORD, http_api.KEY, http_api.CREDENTIALS["Authorization"][1].split()[1])
SIZE = {"size": 100, "size_parameter": "size"}
PAGING: Mapping[str, Mapping[str, Any]] = {
    "page": {"rows": "rows", "paging": {"style": "page", "total": "total", **SIZE}},
    "offset": {"rows": "rows", "paging": {"style": "offset", "total": "total", **SIZE}},
    "cursor": {"rows": "data.rows", "paging": {"style": "cursor", "next": "meta.next", **SIZE}},
    "link": {"paging": {"style": "link", **SIZE}},
    "next": {"rows": "rows", "paging": {"style": "next", "next": "next", **SIZE}},
}
# other signs of the end that numbered pages may have
SIGNS: tuple[Mapping[str, Any], ...] = ({"pages": "pages"}, {"more": "more"}, {"total_header": "X-Total"}, {})


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api()) as one:
        yield one


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Secrets are in the environment, and nobody waits: the pauses are noted."""
    for name, value in (("TOKEN", http_api.TOKEN), ("PASS", http_api.PASSWORD), ("KEY", http_api.KEY)):
        monkeypatch.setenv(name, value)
    noted: list[float] = []
    monkeypatch.setattr(http_line, "sleep", noted.append)
    return noted


def connection(api: Api, **other: Any) -> Mapping[str, Any]:
    said = {"address": api.address, "unencrypted": True, "auth": {"bearer": {"env": "TOKEN"}}, "timeout_seconds": 5}
    return said | other


def fetch(api: Api, into: Path, extract: Mapping[str, Any], since: str | None = None, **other: Any) -> Fetched | None:
    into.mkdir(parents=True, exist_ok=True)
    return opened("http", into, connection(api, **other)).fetch(asked("http", extract, since=since), into)


def fails(api: Api, into: Path, extract: Mapping[str, Any], since: str | None = None, **other: Any) -> SourceError:
    """The error of a pull; no secret is in it, nor in what any library logged."""
    with everything_said() as said, pytest.raises(SourceError) as caught:
        fetch(api, into, extract, since, **other)
    for secret in SECRETS:
        assert secret not in told(caught.value) + said.getvalue()
    assert NAME in str(caught.value)
    return caught.value


def rows_of(fetched: Fetched | None, path: str) -> list[Any]:
    found = []
    for content in contents(fetched):
        page = json.loads(content)
        for step in filter(None, path.split(".")):
            page = page[step]
        found += page
    return found


@pytest.mark.parametrize("style", PAGING)
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_every_style_gives_all_rows_once(tmp_path: Path, style: str, count: int) -> None:
    with serving(Api(made_up(count))) as api:
        fetched = fetch(api, tmp_path, {**PAGING[style], "endpoint": style})
    assert rows_of(fetched, PAGING[style].get("rows", "")) == made_up(count)
    assert fetched is not None
    assert fetched.rows == count
    assert [path.name for path in fetched.files] == [f"page-{n:05}.json" for n in range(1, len(fetched.files) + 1)]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("style", ["page", "offset"])
@pytest.mark.parametrize("count", [0, 100, 250])
def test_numbered_pages_end_by_the_sign_that_is_declared(
    tmp_path: Path, style: str, sign: Mapping[str, Any], count: int
) -> None:
    extract = {"endpoint": style, "rows": "rows", "paging": {"style": style, **SIZE, **sign}}
    with serving(Api(made_up(count))) as api:
        fetched = fetch(api, tmp_path, extract)
    assert rows_of(fetched, "rows") == api.rows
    assert fetched is not None
    assert len(fetched.files) == -(-count // 100) + (
        1 if not sign or not count else 0
    )  # an empty page, where nothing else says it


def fetched_about(api: Api, into: Path) -> Mapping[str, str]:
    fetched = fetch(
        api, into / "about", {**PAGING["page"], "endpoint": "page"}, auth={"parameter": "k", "value": {"env": "KEY"}}
    )
    assert fetched is not None
    assert http_api.KEY not in json.dumps(dict(fetched.about))
    return fetched.about


def test_one_page_and_other_ways_to_ask(api: Api, tmp_path: Path) -> None:
    ways: list[Mapping[str, Any]] = [
        {"bearer": {"env": "TOKEN"}},
        {"user": http_api.USER, "password": {"env": "PASS"}},
        {"header": "X-Api-Key", "value": {"env": "KEY"}},
    ]
    for number, auth in enumerate(ways):
        assert rows_of(fetch(api, tmp_path / str(number), {"endpoint": "none"}, auth=auth), "") == api.rows
    posted = {"endpoint": "page", "method": "POST", **PAGING["page"]}
    assert rows_of(fetch(api, tmp_path / "post", posted), "rows") == api.rows
    assert fetched_about(api, tmp_path)["address"].startswith(f"{api.address}/page?page=1&size=100")
    packed = fetch(api, tmp_path / "gzip", {"endpoint": "page/gzip", **PAGING["page"]})
    assert rows_of(packed, "rows") == api.rows
    marked = fetch(api, tmp_path / "mark", {"endpoint": "none/mark"})
    assert contents(marked)[0].startswith(b"\xef\xbb\xbf[")
    moved = fetch(api, tmp_path / "moved", {"endpoint": "none/moved"})
    assert rows_of(moved, "") == api.rows


def test_a_file_of_another_format_comes_as_it_is(api: Api, tmp_path: Path) -> None:
    extract = {"endpoint": "csv", "content": "file", "changed_by": "changed", "changed_header": "X-Newest"}
    fetched = fetch(api, tmp_path, extract)
    assert fetched is not None
    assert contents(fetched)[0].startswith(b"id,changed,name,value\n1,2026-01-01T00:00:00,")
    assert fetched.until == max(row["changed"] for row in api.rows)
    assert contents(fetch(api, tmp_path / "packed", {"endpoint": "csv/gzip", "content": "file"})) == contents(fetched)


def test_by_change_attribute_the_next_pull_begins_where_this_one_ended(api: Api, tmp_path: Path) -> None:
    extract: Mapping[str, Any] = {
        **PAGING["page"],
        "endpoint": "page",
        "changed_by": "changed",
        "parameters": {"changed_from": "{since}"},
    }
    first = fetch(api, tmp_path / "1", extract)
    assert first is not None
    assert first.until == max(row["changed"] for row in api.rows)
    assert "changed_from" not in api.seen[0][0]
    api.rows = [*api.rows, {"id": 251, "changed": "2026-01-02T00:00:00", "name": "x", "value": "1"}]
    second = fetch(api, tmp_path / "2", extract, since=first.until)
    assert second is not None
    assert second.until == "2026-01-02T00:00:00"
    assert [row["id"] for row in rows_of(second, "rows")] == [250, 251]
    none = fetch(api, tmp_path / "3", extract, since="2026-01-03T00:00:00")
    assert none is not None
    assert (none.rows, none.until) == (0, "2026-01-03T00:00:00")
    ignored = {**extract, "parameters": {"since": "{since}"}}
    error = fails(api, tmp_path / "4", ignored, since="2026-01-01T01:00:00")
    assert error.setting == "extracts.parameters"


@pytest.mark.parametrize(
    ("values", "well"),
    [
        ([9, 10, 11], True),
        (["9", "10"], True),
        (["2026-01-01T10:00:00+05:00", "2026-01-01T09:00:00+05:00"], True),
        (["2026-01-01T10:00:00+05:00", "2026-01-01T09:00:00Z"], False),
        (["2026-01-01", "2026-01-01T09:00:00"], False),
        (["2026-01-01T09:00:00.5", "2026-01-01T09:00:00.55"], False),
        ([1, "2026-01-01"], False),
        (["v1", "v2"], False),
        ([1.5, 2.5], False),
        ([1, None], False),
        (["01.02.2026", "02.01.2026"], False),
    ],
)
def test_only_values_with_an_order_say_where_the_next_pull_begins(
    tmp_path: Path, values: list[Any], well: bool
) -> None:
    rows = [{"id": n, "changed": value} for n, value in enumerate(values)]
    page = tmp_path / "page.json"
    page.write_text(json.dumps(rows), encoding="utf-8")
    if well:
        read = read_page(NAME, page, "", "changed", None, {})
        assert read.newest == str(max(values) if isinstance(values[0], int) else max(values, key=lambda v: (len(v), v)))
    else:
        with pytest.raises(SourceError, match="changed_by"):
            read_page(NAME, page, "", "changed", None, {})


def test_a_busy_server_is_waited_for_as_it_says(api: Api, tmp_path: Path, pauses: list[float]) -> None:
    api.retry_after = 7
    for number, (style, failure) in enumerate((("page", "busy"), ("cursor", "busy-date"))):
        pauses.clear()
        fetched = fetch(api, tmp_path / str(number), {**PAGING[style], "endpoint": f"{style}/{failure}"})
        assert rows_of(fetched, PAGING[style]["rows"]) == api.rows
        assert len(pauses) == 6
        assert all(5 <= pause <= 8 for pause in pauses)


@pytest.mark.parametrize("endpoint", ["none/down", "page/busy-for-ever"])
def test_a_server_that_stays_busy_is_given_up(api: Api, tmp_path: Path, pauses: list[float], endpoint: str) -> None:
    error = fails(api, tmp_path, {**PAGING["page"], "endpoint": endpoint}, patience_seconds=100)
    assert error.passing
    assert error.setting == "connection.patience_seconds"
    assert 40 <= sum(pauses) <= 100
    assert all(first < 3 * second for first, second in pairwise(pauses))


@pytest.mark.parametrize(
    ("endpoint", "setting", "says", "passing"),
    [
        ("page/html", "extracts.endpoint", "page for people", False),
        ("page/html-as-json", "extracts.endpoint", "page for people", False),
        ("csv", "extracts.content", "no JSON", False),
        ("none/broken", "extracts.content", "no JSON", False),
        ("page/repeats", "extracts.paging.parameter", "very rows of one before", False),
        ("offset/repeats", "extracts.paging.parameter", "very rows of one before", False),
        ("page/total-changes", "extracts.paging.total", "the first said 250", True),
        ("page/total-lacks", "extracts.paging.total", "does not say a number", False),
        ("cursor/loop", "extracts.paging.parameter", "was read before", False),
        ("next/loop", "extracts.paging.parameter", "was read before", False),
        ("link/loop", "extracts.paging.parameter", "was read before", False),
        ("page/short", "extracts.paging.size", "fewer than 100", True),
        ("offset/short", "extracts.paging.size", "fewer than 100", True),
        ("page/empty", "extracts.paging.end", "is empty", True),
        ("next/empty", "extracts.paging.end", "is empty", True),
        ("page/other-shape", "extracts.rows", "no list of rows", False),
        ("page/cut", "connection.address", "broke", True),
        ("page/cut-in-chunks", "connection.address", "broke", True),
        ("page/gzip-cut", "connection.address", "ends in its middle", True),
        ("page/redirect", "connection.address", "another server", False),
        ("next/astray", "connection.address", "another server", False),
        ("link/astray", "connection.address", "another server", False),
        ("page/endless", "extracts.largest_mb", "larger than is allowed", False),
        ("nothing", "extracts.endpoint", "status 404", False),
    ],
)
def test_nothing_is_taken_of_what_is_not_whole(
    api: Api, tmp_path: Path, endpoint: str, setting: str, says: str, passing: bool
) -> None:
    style = endpoint.partition("/")[0]
    with serving(Api()) as elsewhere:
        api.elsewhere = elsewhere.address
        error = fails(api, tmp_path, {**PAGING.get(style, {}), "endpoint": endpoint, "largest_mb": 1})
        assert elsewhere.seen == []
    assert error.setting == setting
    assert says in str(error)
    assert error.passing == passing


def test_a_cut_file_is_not_taken(api: Api, tmp_path: Path) -> None:
    for number, failure in enumerate(("cut", "cut-in-chunks", "gzip-cut")):
        error = fails(api, tmp_path / str(number), {"endpoint": f"csv/{failure}", "content": "file"})
        assert error.passing


def test_a_server_that_says_nothing_is_given_up(api: Api, tmp_path: Path) -> None:
    error = fails(api, tmp_path, {"endpoint": "none/hangs"}, timeout_seconds=1)
    assert error.passing
    assert "said nothing" in str(error)


@pytest.mark.parametrize(
    ("auth", "setting"),
    [
        ({"bearer": {"env": "KEY"}}, "connection.auth"),
        ({"user": http_api.USER, "password": {"env": "KEY"}}, "connection.auth"),
        ({"header": "X-Api-Key", "value": {"env": "TOKEN"}}, "connection.auth"),
        ({"parameter": "key", "value": {"env": "KEY"}}, "connection.auth"),
        ({"bearer": {"env": "ABSENT"}}, "connection.auth.bearer"),
    ],
)
def test_a_wrong_secret_is_named_and_never_shown(
    api: Api, tmp_path: Path, auth: Mapping[str, Any], setting: str
) -> None:
    error = fails(api, tmp_path, {"endpoint": "none"}, auth=auth)
    assert error.setting == setting
    assert not error.passing
    if setting == "connection.auth":
        source = opened("http", tmp_path, connection(api, auth=auth))
        with everything_said() as said, pytest.raises(SourceError) as caught:
            source.check()
        assert not any(secret in told(caught.value) + said.getvalue() for secret in SECRETS)


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody but itself signed, with its key."""
    path = folder / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    more = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "ca.pem"),
    ]
    subprocess.run([*command, *more], check=True, capture_output=True)  # noqa: S603
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "ca.pem").read_bytes())
    return path


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_a_server_whose_certificate_nobody_signed_is_refused(tmp_path: Path) -> None:
    with serving(Api(), certificate=certificate(tmp_path)) as api:
        error = fails(api, tmp_path, {"endpoint": "none"}, unencrypted=False)
        assert error.setting == "connection.ca_file"
        assert api.seen == []
        fetched = fetch(api, tmp_path, {"endpoint": "none"}, unencrypted=False, ca_file="ca.pem")
        assert rows_of(fetched, "") == api.rows


def test_there_is_none_yet(api: Api, tmp_path: Path) -> None:
    assert fetch(api, tmp_path, {"endpoint": "nothing", "not_yet": 404}) is None


@pytest.mark.parametrize(
    "said",
    [
        {"address": "http://api.kz"},
        {"address": "https://user:pass@api.kz"},
        {"address": "https://api.kz?key=1"},
        {"address": "ftp://api.kz"},
        {"address": "https://api.kz", "headers": {"Authorization": "Bearer x"}},
        {"address": "https://api.kz", "auth": {"bearer": "literal-secret"}},
        {"address": "https://api.kz", "auth": {"user": "x"}},
        {"address": "https://api.kz", "auth": {"bearer": {"env": "A"}, "user": "x", "password": {"env": "B"}}},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(said: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        http.Settings.model_validate(said)
    assert "literal-secret" not in str(caught.value)


@pytest.fixture
def line(api: Api) -> Iterator[Line]:
    with line_to(int(api.address.rpartition(":")[2])) as one:
        yield one


def test_a_line_that_breaks_at_any_moment_leaves_nothing(api: Api, tmp_path: Path, line: Line) -> None:
    extract = {**PAGING["cursor"], "endpoint": "cursor"}
    address = f"http://127.0.0.1:{line.port}"
    line.mend()
    whole = fetch(api, tmp_path / "whole", extract, address=address)
    assert rows_of(whole, "data.rows") == api.rows
    bytes_of_all, chance = line.passed, random.Random(23)  # noqa: S311
    for number in range(20):
        line.cut_after(chance.randrange(bytes_of_all - 1))
        error = fails(api, tmp_path / f"cut-{number}", extract, address=address)
        assert error.passing, str(error)
    line.mend()
    assert contents(fetch(api, tmp_path / "after", extract, address=address)) == contents(whole)
