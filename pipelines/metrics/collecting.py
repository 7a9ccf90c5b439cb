"""The collectors put together: each measures its part, none stops another, and what costs something is measured only when it may have changed.

Does not belong here: what a part measures (of_*.py), how it is handed out (endpoint.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.metrics import of_home, of_release, of_runs, of_sources
from pipelines.metrics.described import Sample, metrics
from warehouse.home.home import Home
from warehouse.version import qala_version

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

_log = logging.getLogger(__name__)


@dataclass
class _Part:
    """One collector, and what it found last. `identity`: what it depends on; the same one: nothing is measured again."""

    name: str
    measure: Callable[[], Iterable[Sample]]
    identity: Callable[[], object] = field(default=object)
    seen: object = None
    found: tuple[Sample, ...] = ()
    well: bool = False
    when: float = 0.0
    seconds: float = 0.0

    def refresh(self) -> None:
        """Measure, if it is called for. What went wrong is logged and told by the metrics; then what was found before stands."""
        begun, self.when = time.perf_counter(), time.time()
        try:
            now = self.identity()
            if self.well and now == self.seen:
                return
            self.found, self.seen, self.well = tuple(self.measure()), now, True
        except Exception as error:
            if self.well or not self.seconds:  # once, not at every scrape
                _log.warning("metrics of %s cannot be measured: %s: %s", self.name, type(error).__name__, error)
            self.well = False
        self.seconds = time.perf_counter() - begun

    def itself(self) -> Iterator[Sample]:
        yield "qala_collector_success", (self.name,), float(self.well)
        yield "qala_collector_timestamp_seconds", (self.name,), self.when
        yield "qala_collector_duration_seconds", (self.name,), self.seconds


class Collector:
    """Metrics of one home, for prometheus_client: `collect` gives what `refresh` found last, and waits for nothing but the first time."""

    def __init__(self, home: Home):
        archive = of_home.ArchiveSize()
        self._parts = (
            _Part("release", lambda: of_release.measured(home), lambda: of_release.identity(home)),
            _Part("home", lambda: of_home.measured(home, archive)),
            _Part("sources", lambda: of_sources.measured(home), lambda: of_sources.identity(home)),
            _Part("runs", lambda: of_runs.measured(home)),
        )
        self._turn = threading.Lock()
        self._samples: tuple[Sample, ...] = ()

    def refresh(self) -> None:
        """Measure all that may have changed."""
        with self._turn:
            for part in self._parts:
                part.refresh()
            found = [sample for part in self._parts for sample in (*part.found, *part.itself())]
            self._samples = (("qala_build_info", (qala_version(),), 1.0), *found)

    def collect(self) -> Iterator[Family]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        if not self._samples:
            self.refresh()
        by_name: dict[str, list[Sample]] = {}
        for sample in self._samples:
            by_name.setdefault(sample[0], []).append(sample)
        for name, metric in metrics().items():  # in the order of their description
            if name not in by_name:
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(name, metric.help, labels=metric.labels)
            for _, values, value in by_name[name]:
                family.add_metric(values, value)
            yield family


def text(home: Home) -> str:
    """All metrics of a home in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(Collector(home))
    return generate_latest(registry).decode()
