"""An S3 server: moto's, in a process of its own (installed with `make install`). It holds its objects in memory.

One bucket, and one user who may read and write it; requests of others, and those that are not signed, are refused.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.clusters.processes import ClusterError, free_ports, running, start, stop, wait_until

HOST, REGION, BUCKET = "127.0.0.1", "us-east-1", "extracts"
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass(frozen=True)
class Server:
    """A server that runs, and the key with which it is used."""

    port: int
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        return f"{HOST}:{self.port}"

    def __str__(self) -> str:
        lines = (
            f"endpoint: {self.endpoint}, scheme: http, region: {REGION}, bucket: {BUCKET}",
            f"access key: {self.access_key}",
            f"secret key: {self.secret_key}",
        )
        return "\n".join(lines)

    def client(self) -> Any:
        """boto3's client, which puts objects there."""
        return _client("s3", self.endpoint, self.access_key, self.secret_key)


def unavailable() -> str:
    """Why there can be no server here; empty if there can."""
    return "" if importlib.util.find_spec("moto") else "moto is not installed: pip install 'moto[server]'"


def up(folder: Path) -> Server:
    """Start the server of a folder, or give the one that runs; it has the bucket."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "server.json"
    if running(folder) is not None:
        return Server(**json.loads(known.read_text(encoding="ascii")))
    if said := unavailable():
        raise ClusterError(said)
    port = free_ports(1)[0]
    start(folder, [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)])
    wait_until(lambda: _answers(port), folder, f"S3 at {HOST}:{port}")
    server = prepare(port)
    known.write_text(json.dumps(server.__dict__), encoding="ascii")
    return server


def down(folder: Path) -> None:
    """Stop the server of a folder; its objects are gone."""
    stop(folder.resolve())


def prepare(port: int) -> Server:
    """Give a server that was just started its bucket and its user; from then on it asks who is there."""
    endpoint = f"{HOST}:{port}"
    iam = _client("iam", endpoint, "first", "first")
    iam.create_user(UserName="qala")
    iam.put_user_policy(UserName="qala", PolicyName="all", PolicyDocument=json.dumps(_POLICY))
    key = iam.create_access_key(UserName="qala")["AccessKey"]
    server = Server(port, key["AccessKeyId"], key["SecretAccessKey"])
    server.client().create_bucket(Bucket=BUCKET)
    plain = {"Content-Type": "text/plain"}  # of a form it would see no body
    request = urllib.request.Request(f"http://{endpoint}/moto-api/reset-auth", data=b"0", headers=plain)
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        return server


def _client(service: str, endpoint: str, access_key: str, secret_key: str) -> Any:
    import boto3  # type: ignore[import-untyped]

    return boto3.client(
        service,
        endpoint_url=f"http://{endpoint}",
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/moto-api/data.json", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
