"""The Java process that a session of Spark lives in: found, started, ended.

It ends with the process that started it, whatever becomes of that: its standard input is a pipe, and when the pipe closes it exits.
Does not belong here: what the session is told and asked (spark_session.py).
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from warehouse.engines.engine import EngineError

if TYPE_CHECKING:
    from py4j.java_gateway import JavaGateway

OLDEST_JAVA = 17  # that Spark 4 runs on
START_SECONDS, END_SECONDS = 120.0, 20.0
_JAVA_REMEDY = (
    f"install Java {OLDEST_JAVA} or newer (Debian: openjdk-17-jre-headless) and let JAVA_HOME name its folder"
)
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_LOG_BYTES = 8 << 20
_LOG = """\
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss}} %p %c{{1}}: %m%n%ex
"""


def spark_home() -> Path:
    """The folder of the pip package, whatever SPARK_HOME says: another Spark is another version."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EngineError("pyspark is not installed; install qala with its extra spark, or choose another engine")
    return Path(spec.origin).parent


def spark_environment(folder: Path) -> dict[str, str]:
    """For a process of Spark: this one's, without qala's secrets, and without settings of Spark that numbers could depend on.

    `folder` holds its configuration, and nobody else's spark-defaults.conf counts.
    """
    ours = {name: v for name, v in os.environ.items() if not name.startswith(("QALA_", "SPARK_", "PYSPARK_"))}
    kept = {name: os.environ[name] for name in ("SPARK_LOCAL_DIRS",) if name in os.environ}
    return ours | kept | {"SPARK_HOME": str(spark_home()), "SPARK_CONF_DIR": str(folder)}


def find_java() -> str:
    """The Java that Spark will take, new enough. Raises EngineError with what to install."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if program is None:
        raise EngineError(f"Spark runs on Java, and there is none on this machine; {_JAVA_REMEDY}")
    try:
        said = subprocess.run(  # noqa: S603
            [program, "-version"], capture_output=True, text=True, timeout=60, check=False, preexec_fn=_free()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(
            f"Spark runs on Java, and {program}{' of JAVA_HOME' if home else ''} cannot be run ({error}); {_JAVA_REMEDY}"
        ) from error
    found = _VERSION.search(said.stderr)
    if found is None:
        raise EngineError(f"{program} does not say which Java it is ({said.stderr.strip()[:200]!r}); {_JAVA_REMEDY}")
    if int(found[1]) < OLDEST_JAVA:
        raise EngineError(f"{program} is Java {found[1]}, too old for Spark; {_JAVA_REMEDY}")
    return program


@dataclass(frozen=True)
class Jvm:
    """A running Java process and the way to talk to it."""

    process: subprocess.Popen[bytes]
    gateway: JavaGateway
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Close its standard input, so that it ends; kill it if it does not."""
        with suppress(Exception):
            self.gateway.shutdown()
        _end(self.process)


def start_jvm(settings: Mapping[str, str], folder: Path) -> Jvm:
    """Start Java with Spark in it; `folder` gets its configuration and its log.

    Its memory is what spark.driver.memory says and some 300 MB beside: the limit of a computing process (isolation/worker.py) is
    lifted for it, as Java reserves at the start what it may never touch. Raises EngineError: no Java, or it did not start.
    """
    find_java()
    folder.mkdir(parents=True, exist_ok=True)
    log, said = folder / "driver.log", folder / "driver.out"
    _configure_log(folder / "log4j2.properties", log)
    command = [str(spark_home() / "bin" / "spark-submit")]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    with TemporaryDirectory() as shared, said.open("wb") as out:
        address = Path(shared, "address")
        process = subprocess.Popen(  # noqa: S603
            [*command, "pyspark-shell"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env=spark_environment(folder) | {"SPARK_CONNECT_MODE": "0", "_PYSPARK_DRIVER_CONN_INFO_PATH": str(address)},
            preexec_fn=_free(),
        )
        end = time.monotonic() + START_SECONDS
        while process.poll() is None and not address.exists() and time.monotonic() < end:
            time.sleep(0.05)
        if not address.exists():
            code = process.poll()
            _end(process)
            how = (
                f"did not start within {START_SECONDS:g} s"
                if code is None
                else f"ended at its start (exit code {code})"
            )
            raise EngineError(f"Spark's Java process {how}: {_last_words(said)}; see {said}. {_memory_remedy(said)}")
        try:
            return Jvm(process, _connect(address.read_bytes()), log)
        except BaseException:
            _end(process)
            raise


def _configure_log(file: Path, log: Path) -> None:
    """Everything Spark says goes into `log`; one that has grown large is set aside, in place of the one before it."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    # a file of properties is ASCII; of `$` the logger would make variables
    named = str(log).replace("\\", "\\\\").replace("$", "$$")
    text = "".join(
        c if c.isascii() else "".join(f"\\u{int.from_bytes(u, 'big'):04x}" for u in _utf16(c)) for c in named
    )
    file.write_text(_LOG.format(text), encoding="ascii")


def _utf16(character: str) -> tuple[bytes, ...]:
    units = character.encode("utf-16-be")
    return tuple(units[n : n + 2] for n in range(0, len(units), 2))


def _connect(address: bytes) -> JavaGateway:
    """The way to a process that wrote its port (4 bytes) and its secret (after 4 bytes of length)."""
    from pyspark.java_gateway import launch_gateway

    given = {
        "PYSPARK_GATEWAY_PORT": str(int.from_bytes(address[:4], "big")),
        "PYSPARK_GATEWAY_SECRET": address[8:].decode(),
    }
    os.environ |= given
    try:
        return launch_gateway()  # type: ignore[no-untyped-call]
    finally:
        for name in given:
            del os.environ[name]


def _free() -> Callable[[], None]:
    """For a child: as much memory as this process may have at all, and Ctrl-C is not its affair."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    return prepare


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(said: Path) -> str:
    lines = [line for line in said.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|exception|could not|not enough|denied", line, re.IGNORECASE)]
    return " / ".join((errors or lines)[-3:])[:500] or "it said nothing"


def _memory_remedy(said: Path) -> str:
    if re.search(r"memory|heap|reserve", said.read_text(encoding="utf-8", errors="replace"), re.IGNORECASE):
        return "Give it less (executor_memory with local[N]), or free memory of this machine"
    return _JAVA_REMEDY
