"""A day of an akimat on this machine: five kinds of source, twelve settlements, two failing, one late, one correcting itself.

    .venv/bin/python examples/a-day/day.py FOLDER      needs sshd and PostgreSQL (make servers); takes two minutes

Real servers on loopback are filled with imaginary extracts of the two months before this one. In the morning qala pulls and runs; what is
wrong is put right; at noon it pulls and runs again. Then every value is compared with those of a home to which the same extracts were handed
one by one. The sources' files are in sources/. Ends with 0 if all values are equal and everything went wrong that was to.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

import duckdb

from connectors.archive.archive import Archive
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.simulator.generate import DEMO_SETTLEMENTS, Extract, simulate
from tools.servers import postgresql, s3, sftp
from warehouse.home.home import Home
from warehouse.periods import add_months, month_id
from warehouse.tables.contracts import load_tables

HERE = Path(__file__).parent
# by table, the source that has it: sources/<name>.yaml
SOURCES = {
    "fct_crash": "crashes",  # folder
    "fct_trip": "trips",  # SFTP
    "fct_lighting_energy": "lighting",  # S3
    "fct_building_permit": "permits",  # HTTP
    "fct_service_application": "applications",  # PostgreSQL
}
LATE = DEMO_SETTLEMENTS[5]  # whose lighting comes only at noon
SECRETS = ("A_DAY_ACCESS_KEY", "A_DAY_SECRET_KEY", "A_DAY_TOKEN", "A_DAY_PASSWORD")
PAGE = 200
TOKEN = "token-of-a-day"  # noqa: S105


def main(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    extracts = imaginary(folder / "extracts")
    told(f"{len(extracts)} extracts of {len(DEMO_SETTLEMENTS)} settlements: {', '.join(months())}")
    city = City(folder / "servers")
    try:
        home = folder / "home"
        city.open(extracts, home)
        told(
            "morning: trips' server is down, permits' token is wrong, one lighting file is late, applications are not what they will be"
        )
        city.sftp_down()
        os.environ |= {"A_DAY_TOKEN": "expired"}
        morning = (qala(home, "pull"), qala(home, "run"), qala(home, "sources"))
        told("put right: the server is up, the token is new, the late file has come, the database was corrected")
        city.mend(extracts, home)
        noon = (qala(home, "pull"), qala(home, "run"), qala(home, "pull"))
    finally:
        city.close()
    clean = folder / "clean"
    by_hand(clean, extracts)
    qala(clean, "run")
    here, there = values(home), values(clean)
    differing = {key for key in {*here, *there} if here.get(key) != there.get(key)}
    told(
        f"{len(here):,} figures after the day, {len(there):,} of the clean run, {len(differing)} differ {sorted(differing)[:5]}"
    )
    as_planned = morning[0] != 0 and noon == (0, 0, 0)
    told("the day went as it was to" if as_planned else f"exit codes {morning} and {noon} are not those of such a day")
    return 0 if here and not differing and as_planned else 1


def months() -> tuple[str, str]:
    """The two months before this one."""
    this = dt.datetime.now(dt.UTC).date().replace(day=1)
    return month_id(add_months(this, -2)), month_id(add_months(this, -1))


def imaginary(folder: Path) -> list[Extract]:
    """Extracts of the five tables, with the few mistakes that real ones have."""
    tables = {name: table for name, table in load_tables().items() if name in SOURCES}
    years = {int(month[:4]) for month in months()}
    made = [one for year in sorted(years) for one in simulate(tables, folder, year=year, specials=())]
    return [one for one in made if one.period in months()]


def told(text: str) -> None:
    sys.stdout.write(f"== {text}\n")
    sys.stdout.flush()


def qala(home: Path, command: str) -> int:
    """Run a command of qala, which prints what it has to say. Returns its exit code."""
    told(f"qala {command}")
    program = [sys.executable, "-c", "from pipelines.cli import app; app()"]
    return subprocess.run([*program, command, "--home", str(home)], check=False).returncode  # noqa: S603


def by_hand(root: Path, extracts: list[Extract]) -> None:
    tables, home = load_tables(), Home(root)
    for one in extracts:
        declared = DeclaredDelivery(one.path, one.table, one.scope, one.period)
        deliver(Archive(home.archive), declared, tables, {})


def values(root: Path) -> Mapping[tuple[object, ...], tuple[object, ...]]:
    """Every published value, with what it was made of."""
    key, said = "kato, kpi_code, period_id", "value, numerator, denominator, sample_size, obs_status, state"
    with duckdb.connect(str(Home(root).released_file), read_only=True) as con:
        rows = con.execute(f"SELECT {key}, {said} FROM kpi_values").fetchall()
    return {row[:3]: row[3:] for row in rows}


@dataclass
class City:
    """The servers of an imaginary city, and what is in them."""

    folder: Path

    def open(self, extracts: list[Extract], home: Path) -> None:
        """Start the servers, fill them as they are in the morning, and write the sources of the home."""
        self.sftp, self.s3 = sftp.up(self.folder / "sftp"), s3.up(self.folder / "s3")
        self.database = postgresql.up(self.folder / "postgresql")
        self.api = Api(self.folder)
        for one in extracts:
            if not (one.table == "fct_lighting_energy" and one.scope == LATE and one.period == months()[1]):
                self.put(one)
        self.database.psql("UPDATE service_application SET completed_at = NULL WHERE application_id LIKE '%7'")
        self.connect(home)

    def put(self, one: Extract) -> None:
        """Lay an extract where its source has it."""
        name = SOURCES[one.table]
        if name == "crashes":
            target = self.folder / "crashes" / one.scope / f"{one.period}.csv"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.path, target)
            digest = hashlib.sha256(one.path.read_bytes()).hexdigest()
            target.with_name(f"{target.name}.sha256").write_text(f"{digest}  {target.name}\n", encoding="ascii")
        elif name == "trips":
            target = self.sftp.files / one.scope / f"{one.period}.csv.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(one.path.read_bytes()))
        elif name == "lighting":
            key = f"lighting/{one.period.replace('-', '/')}/{one.scope}.csv"
            self.s3.client().put_object(Bucket=s3.BUCKET, Key=key, Body=one.path.read_bytes())
        elif name == "permits":
            with one.path.open(encoding="utf-8", newline="") as file:
                self.api.rows[f"/permits/{one.scope}/{one.period}"] = list(csv.DictReader(file))
        else:
            self.into_database(one)

    def into_database(self, one: Extract) -> None:
        columns = one.path.read_text(encoding="utf-8").partition("\n")[0].strip()
        typed = ", ".join(f"{column} text" for column in columns.split(","))
        copied = f"\\copy arriving ({columns}) FROM '{one.path}' WITH (FORMAT csv, HEADER)"
        self.database.psql(
            f"CREATE TABLE IF NOT EXISTS service_application (kato text, month text, {typed});\n"
            f"CREATE TEMP TABLE arriving (LIKE service_application);\n{copied}\n"
            f"DELETE FROM service_application WHERE kato = '{one.scope}' AND month = '{one.period}';\n"
            f"INSERT INTO service_application SELECT '{one.scope}', '{one.period}', {columns} FROM arriving;\n"
        )

    def connect(self, home: Path) -> None:
        """Write the home's sources, with the addresses of these servers; secrets go into the environment."""
        os.environ |= {
            "A_DAY_ACCESS_KEY": self.s3.access_key,
            "A_DAY_SECRET_KEY": self.s3.secret_key,
            "A_DAY_PASSWORD": self.database.reader_password,
            "A_DAY_TOKEN": TOKEN,
        }
        common = {"settlements": json.dumps(DEMO_SETTLEMENTS), "first": months()[0]}
        where = {
            "crashes": {"folder": self.folder / "crashes"},
            "trips": {
                "port": self.sftp.port,
                "user": self.sftp.user,
                "known_hosts": self.sftp.known_hosts,
                "key": self.sftp.folder / "client_key",
                "folder": self.sftp.files,
            },
            "lighting": {"endpoint": self.s3.endpoint, "bucket": s3.BUCKET},
            "permits": {"address": self.api.address},
            "applications": {"port": self.database.port, "database": postgresql.DATABASE},
        }
        (home / "sources").mkdir(parents=True, exist_ok=True)
        for name, own in where.items():
            text = Template((HERE / "sources" / f"{name}.yaml").read_text(encoding="utf-8"))
            (home / "sources" / f"{name}.yaml").write_text(text.substitute(common | own), encoding="utf-8")

    def sftp_down(self) -> None:
        sftp.down(self.sftp.folder)

    def mend(self, extracts: list[Extract], home: Path) -> None:
        """What was wrong in the morning is put right."""
        self.sftp = sftp.up(self.folder / "sftp")
        for one in extracts:
            if one.table == "fct_service_application" or (one.table == "fct_lighting_energy" and one.scope == LATE):
                self.put(one)
        self.connect(home)

    def close(self) -> None:
        self.api.close()
        for kind, name in ((sftp, "sftp"), (s3, "s3")):
            kind.down(self.folder / name)
        postgresql.remove(self.folder / "postgresql")


class Api:
    """The API of building permits: lists in JSON, page after page, for who has the token."""

    def __init__(self, folder: Path):  # noqa: ARG002
        self.rows: dict[str, list[dict[str, str]]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?page=")
                page, found = int(query or 1), api.rows.get(path)
                known = self.headers["Authorization"] == f"Bearer {TOKEN}"
                status = 401 if not known else 404 if found is None else 200
                rows = (found or [])[(page - 1) * PAGE : page * PAGE] if status == 200 else []
                body = json.dumps(rows, ensure_ascii=False).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if found and page * PAGE < len(found):
                    self.send_header("Link", f'<{api.address}{path}?page={page + 1}>; rel="next"')
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: qala tells what it asked."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
