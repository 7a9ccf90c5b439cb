"""Which metrics there are, as metrics.yaml has them: name, kind, labels, and what each says. docs/reference/metrics.md is made of this.

Names are those of Prometheus' conventions: base units in the name, `_total` for what only grows. A label has few values: tables, systems,
sources, states; never a delivery, a settlement or a KPI. Does not belong here: how a metric is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

OTHERS = "others"  # label of what is beyond the most frequent ones
MOST = 200  # values that one label has at most; what is beyond is counted as OTHERS

# name, values of its labels, value
Sample = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str


@cache
def metrics() -> Mapping[str, Metric]:
    """By name, in the order of their description."""
    return {one.name: one for _, own in _by_part() for one in own}


def _by_part() -> list[tuple[str, list[Metric]]]:
    """(title, metrics) of each collector."""
    import yaml

    parts: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("metrics.yaml").read_text(encoding="utf-8"))
    return [
        (
            part["title"],
            [
                Metric(name, "counter" if name.endswith("_total") else "gauge", tuple(labels.split()), text)
                for name, (labels, text) in part["metrics"].items()
            ],
        )
        for part in parts.values()
    ]


def bounded(counts: Iterable[tuple[str, float]]) -> Mapping[str, str]:
    """Name → label: the most frequent ones keep their name, what is beyond MOST is OTHERS."""
    ranked = sorted(dict(counts).items(), key=lambda one: (-one[1], one[0]))
    return {name: name if place < MOST else OTHERS for place, (name, _) in enumerate(ranked)}


def in_words() -> str:
    """All of it as a page for people."""
    head = "| metric | kind | labels | what it says |\n|---|---|---|---|\n"
    parts = []
    for title, own in _by_part():
        rows = [f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.help} |" for one in own]
        parts.append(f"\n## {title}\n\n{head}" + "\n".join(rows) + "\n")
    return _INTRODUCTION + "".join(parts)


_INTRODUCTION = f"""# Metrics

`qala metrics` prints them as Prometheus reads them, `qala metrics --serve` serves them ([deployment.md](../deployment.md)). The warehouse that runs write
is never opened, so that a scrape waits for no run. Times are seconds since 1970. A label has at most {MOST} values, what is beyond is `{OTHERS}`; no label
names a delivery, a settlement or a KPI. What is unknown is left out rather than 0. Rules for alerts: `deploy/prometheus/qala.rules.yaml`.
"""
