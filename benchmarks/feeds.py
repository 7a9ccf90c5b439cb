"""Five made-up feeds in 36 monthly files each, the same bytes every time: text, as systems of a city would export it.

About 0.4 % of the rows break one rule of their table's contract, of those that cost a row; 0.3 % bring a key again within the file, as the
very same row, half of them of appeals a month later, with other values: the extracts of other tables hold rows of their own days only.
What the contenders are compared on is one another's: so a key with two meanings in one file, and a broken cell in a column that a row
can do without, both of which qala treats otherwise than plain SQL would, are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.tables.settlements import settlements

SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000, "50m": 50_000_000}
FIRST_YEAR = 2020
_PRIME = 2147483647


@dataclass(frozen=True)
class Feed:
    """One table's extracts. `bad` has a value that breaks the rule, by column, for every kind of mistake."""

    table: str
    share: float
    columns: str  # SELECT list over i (row), j (whose key it has), m (first day of its month), r1 to r4 (pseudo-random)
    bad: tuple[tuple[str, str], ...]
    register: bool = False
    lives: bool = False  # its rows come again a month later, in another state


_HASH = "CASE WHEN {p} THEN md5('a' || {k}) || md5('b' || {k}) END"
FEEDS = (
    Feed("fct_fare_validation", 0.70, f"""'V' || j AS validation_id,
        strftime(mj + INTERVAL (rj % 2419200) SECOND, '%Y-%m-%d %H:%M:%S') AS validated_at, 'R' || r2 % 400 AS route_id,
        'B' || r3 % 9000 AS vehicle_id, ['TRANSPORT_CARD', 'BANK_CARD', 'QR', 'SMS', 'CASH', 'TRANSPORT_CARD', 'TRANSPORT_CARD'][1 + r4 % 7] AS payment_type,
        CASE WHEN r3 % 11 = 0 THEN 'false' ELSE 'true' END AS is_boarding, {_HASH.format(p="r4 % 7 IN (0, 5, 6)", k="r2 % 500000")} AS card_hash""",
        (("validation_id", "''"), ("validated_at", "'2023-13-45 10:00:00'"), ("validated_at", "''"), ("validation_id", "repeat('V', 65)"),
         ("payment_type", "'CHEQUE'"), ("is_boarding", "'maybe'"), ("payment_type", "''"), ("kato", "'123456789'"))),
    Feed("fct_air_hour", 0.12, """'S' || jm // 4032 AS station_id,
        strftime(mj + INTERVAL (jm // 6 % 672 * 3600) SECOND, '%Y-%m-%d %H:%M:%S') AS hour_start,
        ['PM25', 'PM10', 'SO2', 'NO2', 'CO', 'O3'][1 + jm % 6] AS pollutant,
        CASE WHEN r2 % 20 > 0 THEN (r3 % 900000 / 1000.0)::DECIMAL(10,3)::VARCHAR END AS value_ug_m3,
        CASE WHEN r2 % 20 > 0 AND r4 % 30 > 0 THEN 'true' ELSE 'false' END AS is_valid""",
        (("station_id", "''"), ("hour_start", "'yesterday'"), ("pollutant", "'XX'"), ("pollutant", "''"), ("hour_start", "''"),
         ("is_valid", "'maybe'"), ("is_valid", "''"), ("kato", "'123456789'"))),
    Feed("dim_meter", 0.10, f"""'M' || jm AS meter_id, strftime(DATE '2015-01-01' + (jm * 37 % 2900)::INTEGER, '%Y-%m-%d') AS installed_at,
        CASE WHEN r2 % 15 = 0 THEN strftime(DATE '2023-01-01' + (r3 % 1000)::INTEGER, '%Y-%m-%d') END AS removed_at,
        ['ELECTRICITY', 'COLD_WATER', 'HOT_WATER', 'HEAT', 'GAS'][1 + jm % 5] AS resource,
        CASE WHEN r3 % 50 = 0 THEN NULL WHEN r3 % 3 = 0 THEN 'true' ELSE 'false' END AS is_smart,
        strftime(DATE '2022-01-01' + (r4 % 2500)::INTEGER, '%Y-%m-%d') AS verification_due_on, {_HASH.format(p="true", k="jm")} AS account_hash""",
        (("meter_id", "''"), ("installed_at", "'31.31.2020'"), ("removed_at", "'1990-01-01'"), ("resource", "'STEAM'"), ("resource", "''"),
         ("installed_at", "''"), ("kato", "'123456789'")), register=True),
    Feed("fct_appeal", 0.06, """'A' || j AS appeal_id, strftime(moment, '%Y-%m-%d %H:%M:%S') AS registered_at,
        strftime(moment + INTERVAL 15 DAY, '%Y-%m-%d %H:%M:%S') AS due_at,
        CASE WHEN r2 % 9 > 0 THEN strftime(moment + INTERVAL (r3 % 1000000) SECOND, '%Y-%m-%d %H:%M:%S') END AS first_answer_at,
        CASE WHEN r2 % 4 > 0 THEN strftime(moment + INTERVAL (r4 % 2500000) SECOND, '%Y-%m-%d %H:%M:%S') END AS closed_at,
        CASE WHEN r2 % 4 > 0 THEN 'CLOSED' ELSE 'OPEN' END AS status, ['Roads, pavements', 'Heating', 'Street lights', 'Courtyards'][1 + r3 % 4] AS category,
        ['phone', 'app', 'web'][1 + r4 % 3] AS channel, CASE WHEN r4 % 25 = 0 THEN 'true' ELSE 'false' END AS is_emergency""",
        (("appeal_id", "''"), ("registered_at", "''"), ("due_at", "'soon'"), ("closed_at", "'1999-01-01 00:00:00'"),
         ("first_answer_at", "'1999-01-01 00:00:00'"), ("status", "'LOST'"), ("status", "''"), ("is_emergency", "'2 or 3'"),
         ("kato", "'123456789'")), lives=True),
    Feed("dim_street_light", 0.02, """'L' || jm AS light_id, 'G' || jm // 20 AS segment_id, 'C' || jm // 300 AS cabinet_id,
        ['LED', 'SODIUM', 'MERCURY', 'METAL_HALIDE', 'OTHER'][1 + r2 % 5] AS lamp_type, (20 + r3 % 300)::VARCHAR AS power_w,
        CASE WHEN r4 % 40 = 0 THEN NULL WHEN r4 % 3 = 0 THEN 'true' ELSE 'false' END AS is_remotely_managed,
        strftime(DATE '2010-01-01' + (jm * 41 % 4700)::INTEGER, '%Y-%m-%d') AS installed_at,
        CASE WHEN r2 % 30 = 0 THEN strftime(DATE '2023-01-01' + (r3 % 1000)::INTEGER, '%Y-%m-%d') END AS removed_at""",
        (("light_id", "''"), ("light_id", "repeat('L', 65)"), ("installed_at", "''"), ("installed_at", "'31.12.2020'"), ("removed_at", "'1990-01-01'"),
         ("kato", "'123456789'")), register=True),
)  # fmt: skip


ALL = range(36)


def months(span: range = ALL) -> list[str]:
    return [f"{FIRST_YEAR + n // 12}-{n % 12 + 1:02d}" for n in span]


def files(folder: Path, feed: Feed, span: range = ALL) -> list[Path]:
    return [folder / f"{feed.table}_{month}.csv" for month in months(span)]


def make(folder: Path, rows: int, span: range = ALL) -> None:
    """Write the files of `rows` rows altogether over the months of `span`, unless they are there."""
    done = folder / "complete"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    katos = "[" + ", ".join(f"'{k}'" for k in settlements()) + "]"
    for feed in FEEDS:
        a_month = max(round(rows * feed.share / len(span)), 40)
        for number, path in enumerate(files(folder, feed, span)):
            con.execute(f"COPY ({_select(feed, katos, a_month, number)}) TO '{path}' (HEADER)")
    done.touch()


def _select(feed: Feed, katos: str, a_month: int, number: int) -> str:
    first = f"DATE '{FIRST_YEAR}-01-01' + INTERVAL ({{}}) MONTH"
    again = f"r4 % 1000 < 3 AND i >= {number * a_month + 17}"
    later = f"r3 % 2 = 0 AND {number} > 0" if feed.lives else "false"  # with the key of a row a month before
    mixing = f"""(i * 48271 + 11) % {_PRIME} AS a, a * (a % 46337 + 1) % {_PRIME} AS r1, r1 * (a % 40009 + 7) % {_PRIME} AS r2,
             r2 * (r1 % 44021 + 3) % {_PRIME} AS r3, r3 * (r2 % 38327 + 5) % {_PRIME} AS r4"""
    mistakes = len(feed.bad)
    broken: dict[str, list[str]] = {}
    for kind, (column, value) in enumerate(feed.bad):
        broken.setdefault(column, []).append(f"WHEN {kind} THEN {value}")
    replaced = ", ".join(
        f"CASE WHEN r1 % 1000 < 4 THEN CASE r2 % {mistakes} {' '.join(whens)} ELSE {column} END ELSE {column} END AS {column}"
        for column, whens in broken.items()
    )
    return f"""
WITH numbered AS (SELECT range AS i FROM range({number * a_month}, {(number + 1) * a_month})),
     sent AS (SELECT i AS place, CASE WHEN {again} AND NOT ({later}) THEN i - 17 ELSE i END AS i FROM (SELECT i, {mixing} FROM numbered)),
     mixed AS (SELECT place, i, {mixing} FROM sent),
     keyed AS (SELECT *, CASE WHEN {again} AND {later} THEN i - {a_month} ELSE i END AS j,
                      j % {a_month} AS jm, {first.format(f"j // {a_month}")} AS mj, (j * 69621 + 5) % {_PRIME} AS rj,
                      mj + INTERVAL (rj % 2419200) SECOND AS moment FROM mixed)
SELECT * EXCLUDE (r1, r2, place) REPLACE ({replaced}) FROM (
    SELECT {katos}[1 + ({"jm" if feed.register or feed.table == "fct_air_hour" else "j"}) * 7919 % 90] AS kato, {feed.columns}, r1, r2, place
    FROM keyed ORDER BY place)"""
