"""deploy/: units, rules and settings that fit the code they start. What they name exists, what they start takes its options."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.metrics.described import metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.*er*"))  # services and timers
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
COMMON = DEPLOY / "systemd" / "qala-.service.d" / "common.conf"


class _Unit(configparser.RawConfigParser):
    """A systemd unit, without settings that stand more than once."""

    def __init__(self, path: Path):
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.read_string(path.read_text(encoding="utf-8"))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def command(unit: Path) -> list[str]:
    """What a service starts, without the program that makes lines JSON."""
    words = shlex.split(_Unit(unit)["Service"]["ExecStart"])
    return words[3:] if words[1:3] == ["-m", "pipelines.logged"] else words


def parsed(words: list[str]) -> Mapping[str, Any]:
    """The options of a command line, as its own program reads them. Raises click's errors."""
    import typer.main
    from dagster._cli import create_dagster_cli
    from dagster._daemon.cli import create_dagster_daemon_cli
    from dagster_webserver.cli import create_dagster_webserver_cli

    from pipelines.cli import app

    makers: dict[str, Any] = {
        "qala": lambda: typer.main.get_command(app),
        "dagster": create_dagster_cli,
        "dagster-daemon": create_dagster_daemon_cli,
        "dagster-webserver": create_dagster_webserver_cli,
        "pipelines.read_only_ui": create_dagster_webserver_cli,
    }
    name, given = (words[2], words[3:]) if words[1:2] == ["-m"] else (Path(words[0]).name, words[1:])
    one, context = makers[name](), None
    while hasattr(one, "resolve_command") and given:
        context = one.make_context(one.name, list(given), parent=context, resilient_parsing=True)
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest:
            break
        _, one, given = one.resolve_command(context, rest)
        assert one is not None, f"{name} has no command {rest[0]}"
    done: Mapping[str, Any] = one.make_context(one.name, list(given), parent=context).params
    return done


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is in /etc/qala, and a home, for options that want a path that exists."""
    shutil.copy(DEPLOY / "workspace.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_what_a_service_starts_takes_its_options(unit: Path, workspace: Path) -> None:
    parsed([word.replace("/etc/qala", str(workspace)) for word in command(unit)])


@pytest.mark.parametrize(
    "words",
    [
        ["/x/qala", "verfy"],
        ["/x/qala", "metrics", "--prot", "1"],
        ["/x/dagster-daemon", "run", "--workspce", "x"],
        ["/x/qala", "backup"],
    ],
)
def test_a_mistake_in_a_unit_is_found(words: list[str]) -> None:
    with pytest.raises((Exception, SystemExit), match=r"(?i)no such|missing|has no command"):
        parsed(words)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With programs that are there on this machine."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    shutil.copytree(DEPLOY / "systemd", tmp_path / "units")
    units = [path for path in (tmp_path / "units").iterdir() if path.is_file()]
    for unit in units:
        unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.MULTILINE))
    done = subprocess.run(  # noqa: S603
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "qala" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


def test_every_service_is_confined_and_every_timer_has_one() -> None:
    common = _Unit(COMMON)["Service"]
    users = (DEPLOY / "sysusers.conf").read_text()
    assert f"u {common['User']} " in users
    assert f"g {common['Group']} " in users
    assert (common["ProtectSystem"], common["NoNewPrivileges"], common["UMask"]) == ("strict", "yes", "0027")
    folders = {line.split()[1] for line in (DEPLOY / "tmpfiles.conf").read_text().splitlines() if line.startswith("d ")}
    for unit in SERVICES:
        assert unit.name.startswith("qala-"), "or common.conf is not of it"
        assert {*_Unit(unit)["Service"]["ReadWritePaths"].split()} <= folders
    for timer in (unit for unit in UNITS if unit.suffix == ".timer"):
        assert timer.with_suffix(".service") in SERVICES


def test_ports_and_addresses_fit_one_another() -> None:
    (server,) = (one["grpc_server"] for one in yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"])
    served = {}
    for unit in SERVICES:
        words = command(unit)
        ports = [words[n + 1] for n, word in enumerate(words) if word in ("-p", "--port")]
        hosts = [words[n + 1] for n, word in enumerate(words) if word in ("-h", "--host")]
        assert set(hosts) <= {"127.0.0.1"}
        if ports:
            served[unit.stem] = int(ports[0])
    assert len({*served.values()}) == len(served) >= 4
    assert server["port"] == served["qala-code"]
    upstreams = dict(
        re.findall(r"upstream (\w+) \{ server 127\.0\.0\.1:(\d+); \}", (DEPLOY / "nginx" / "qala.conf").read_text())
    )
    assert upstreams == {"qala_writable": str(served["qala-webserver"]), "qala_readonly": str(served["qala-readonly"])}
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "scrape.yaml").read_text())
    assert scraped["scrape_configs"][0]["static_configs"][0]["targets"] == [f"127.0.0.1:{served['qala-metrics']}"]


def test_rules_ask_for_metrics_and_labels_that_there_are() -> None:
    labels = {"instance", "job", *(label for metric in metrics().values() for label in metric.labels)}
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "qala.rules.yaml").read_text())["groups"]
    asked = set[str]()
    for rule in group["rules"]:
        named = set(re.findall(r"\bqala_\w+", rule["expr"]))
        asked |= named
        assert named <= set(metrics()), rule["alert"]
        own = {"instance", "job", *(label for name in named for label in metrics()[name].labels)}
        used = set(re.findall(r"(\w+)\s*=~?\s*\"", rule["expr"])) | set(re.findall(r"by \((\w+)\)", rule["expr"]))
        used |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= own <= labels, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["action"]
    assert len(asked) >= 15


def test_the_settings_for_postgresql_are_ours_but_for_the_storage() -> None:
    own = yaml.safe_load((ROOT / "pipelines" / "dagster.yaml").read_text())
    given = yaml.safe_load((DEPLOY / "dagster.postgres.yaml").read_text())
    assert list(given.pop("storage")) == ["postgres"]
    assert given == own


def test_the_page_names_every_file() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert [unit.name for unit in UNITS if unit.name not in page and unit.stem not in page] == []
    for name in (
        "sysusers.conf",
        "tmpfiles.conf",
        "qala.env",
        "workspace.yaml",
        "dagster.postgres.yaml",
        "nginx/qala.conf",
        "Containerfile",
    ):
        assert f"deploy/{name}" in page
