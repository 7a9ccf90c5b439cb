"""The same work in pandas, as a data engineer who knows it would write it: whole columns at a time, Parquet out.

All files of a table are read as text and concatenated, cast with `errors="coerce"`, and judged by masks in the order of the
table's contract; `duplicated` finds the rows whose key comes again, `groupby` computes the KPIs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.contender import Answer
from benchmarks.feeds import FEEDS, files, months
from benchmarks.plain_duckdb import TABLES
from warehouse.tables.settlements import settlements

Rule = tuple[str, Callable[[pd.DataFrame], pd.Series]]
Kpi = tuple[str, str, pd.Series, pd.Series]  # code, kind of value, numerator and denominator row by row
HASH = "[0-9a-f]{64}"
THOUSANDTHS = pd.ArrowDtype(pa.decimal128(10, 3))


def required(column: str) -> Rule:
    return f"{column}.required", lambda f: f[column].isna()


def length(column: str, most: int = 64) -> Rule:
    return f"{column}.length", lambda f: f[column].str.len() > most


def pattern(column: str, regex: str) -> Rule:
    return f"{column}.pattern", lambda f: ~f[column].str.fullmatch(regex, na=True)


def between(column: str, low: int, high: int) -> Rule:
    return f"{column}.range", lambda f: f[column].notna() & ~f[column].between(low, high)


def domain(column: str, *values: str) -> Rule:
    return f"{column.replace('_', '-')}-domain", lambda f: f[column].notna() & ~f[column].isin(values)


def ordered(rule: str, before: str, after: str) -> Rule:
    return rule, lambda f: f[after] < f[before]


# table → rules of its contract but for the types; each tells which rows break it, a missing value breaks `required` only
RULES: dict[str, tuple[Rule, ...]] = {
    "fct_fare_validation": (
        required("validation_id"),
        length("validation_id"),
        required("validated_at"),
        length("route_id"),
        length("vehicle_id"),
        required("payment_type"),
        required("is_boarding"),
        pattern("card_hash", HASH),
        domain("payment_type", "TRANSPORT_CARD", "BANK_CARD", "QR", "SMS", "CASH"),
    ),
    "fct_air_hour": (
        required("station_id"),
        length("station_id"),
        required("hour_start"),
        required("pollutant"),
        between("value_ug_m3", 0, 100_000),
        required("is_valid"),
        domain("pollutant", "PM25", "PM10", "SO2", "NO2", "CO", "O3"),
        ("value-range", lambda f: (f["pollutant"] != "CO") & (f["value_ug_m3"] > 2000)),
        ("valid-has-value", lambda f: f["is_valid"] & f["value_ug_m3"].isna()),
    ),
    "dim_meter": (
        required("meter_id"),
        length("meter_id"),
        required("installed_at"),
        required("resource"),
        pattern("account_hash", HASH),
        domain("resource", "ELECTRICITY", "COLD_WATER", "HOT_WATER", "HEAT", "GAS"),
        ordered("installed-before-removed", "installed_at", "removed_at"),
    ),
    "fct_appeal": (
        required("appeal_id"),
        length("appeal_id"),
        required("registered_at"),
        required("status"),
        length("category", 200),
        length("channel", 100),
        required("is_emergency"),
        domain("status", "OPEN", "CLOSED", "WITHDRAWN"),
        ordered("registered-before-closed", "registered_at", "closed_at"),
        ordered("registered-before-answer", "registered_at", "first_answer_at"),
    ),
    "dim_street_light": (
        required("light_id"),
        length("light_id"),
        length("segment_id"),
        length("cabinet_id"),
        between("power_w", 1, 2000),
        required("installed_at"),
        domain("lamp_type", "LED", "SODIUM", "MERCURY", "METAL_HALIDE", "OTHER"),
        ordered("installed-before-removed", "installed_at", "removed_at"),
    ),
}


def start(data: Path, work: Path) -> Callable[[], None]:
    work.mkdir(parents=True)
    katos = list(settlements())

    def run() -> None:
        quarantine, replaced, kpis = [], {}, []
        for feed in FEEDS:
            good, bad = load(feed.table, files(data, feed), katos)
            quarantine.append(bad)
            kept = good.drop_duplicates(list(TABLES[feed.table][1]), keep="last")
            replaced[feed.table] = len(good) - len(kept)
            kept.to_parquet(work / f"{feed.table}.parquet", index=False)
            kpis.append(compute(KPIS[feed.table](kept), kept["kato"]))
        pd.concat(quarantine).to_parquet(work / "quarantine.parquet", index=False)
        pd.concat(kpis).to_parquet(work / "kpi.parquet", index=False)
        pd.DataFrame(replaced.items(), columns=["table_name", "rows"]).to_parquet(work / "replaced.parquet")

    return run


def load(table: str, paths: list[Path], katos: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All files of a table: rows that keep its rules, typed, and rows that do not, as they came."""
    columns, key, _ = TABLES[table]
    read = (pd.read_csv(p, engine="pyarrow", dtype=str, keep_default_na=False, na_values=[""]) for p in paths)
    text = pd.concat(dict(enumerate(read)), names=["delivery", "row_no"]).reset_index()
    text["row_no"] += 1
    frame = text.assign(**{c: cast(text[c], kind) for c, kind in columns.items() if kind != "VARCHAR"})
    if "snapshot_date" in key:
        ends = pd.to_datetime(pd.Series(months())) + pd.DateOffset(months=1)
        frame["snapshot_date"] = frame["delivery"].map(ends)

    names, masks = [], []
    for name, breaks in in_order(table, text, katos):
        names.append(name)
        masks.append(breaks(frame).fillna(False).to_numpy(dtype=bool))
    first = np.select(masks, range(len(masks)), default=-1)
    good, bad = first == -1, text[first != -1]
    raw = bad[["kato", *columns]].to_json(orient="records", lines=True, force_ascii=False).splitlines()
    rules = np.array(names, dtype=object)[first[~good]]
    return frame[good], bad[["delivery", "row_no"]].assign(table_name=table, rule=rules, raw=raw)


def unreadable(text: pd.Series, column: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda f: text.notna() & f[column].isna()


def in_order(table: str, text: pd.DataFrame, katos: list[str]) -> list[Rule]:
    """Column by column what is asked of it, its type first; then what is asked of the row."""
    found: list[Rule] = []
    for column, kind in TABLES[table][0].items():
        if kind != "VARCHAR":
            found.append((f"{column}.type", unreadable(text[column], column)))
        found += [rule for rule in RULES[table] if rule[0].partition(".")[0] == column]
    found += [rule for rule in RULES[table] if "." not in rule[0]]
    return [*found, ("scope", lambda f: ~f["kato"].isin(katos))]


def cast(text: pd.Series, kind: str) -> pd.Series:
    """Text to a type; what is not of the type becomes a missing value."""
    if kind in ("TIMESTAMP", "DATE"):
        pattern = "%Y-%m-%d %H:%M:%S" if kind == "TIMESTAMP" else "%Y-%m-%d"
        return pd.to_datetime(text, format=pattern, errors="coerce")
    if kind == "BOOLEAN":
        return text.map({"true": True, "false": False}).astype("boolean")
    number = pd.to_numeric(text, errors="coerce")
    return number.astype("Int32") if kind == "INTEGER" else text.where(number.notna()).astype(THOUSANDTHS)


def fare_validation(f: pd.DataFrame) -> tuple[pd.Series, list[Kpi]]:
    boarding, everything = f["is_boarding"], f["validation_id"].notna()
    return f["validated_at"], [
        ("BEN01-1", "share", boarding & (f["payment_type"] != "CASH"), boarding),
        ("BEN01-2", "share", boarding & (f["payment_type"] == "BANK_CARD"), boarding),
        ("BEN01-3", "share", boarding, everything),
    ]


def air_hour(f: pd.DataFrame) -> tuple[pd.Series, list[Kpi]]:
    valid, value = f["is_valid"], f["value_ug_m3"].astype("Float64")
    fine, coarse = valid & (f["pollutant"] == "PM25"), valid & (f["pollutant"] == "PM10")
    return f["hour_start"], [
        ("BEN01-4", "share", valid, valid.notna()),
        ("BEN01-5", "mean", value.where(fine), fine & value.notna()),
        ("BEN01-6", "share", coarse & (value > 50), coarse),
    ]


def appeal(f: pd.DataFrame) -> tuple[pd.Series, list[Kpi]]:
    usual = ~f["is_emergency"]
    days = f["first_answer_at"].dt.floor("D") - f["registered_at"].dt.floor("D")
    days = (days // pd.Timedelta(days=1)).astype("Int64")
    return f["registered_at"], [
        ("BEN01-7", "share", usual & (f["closed_at"] <= f["due_at"]), usual),
        ("BEN01-8", "mean", days, days.notna()),
        ("BEN01-9", "quantile", days, days.notna()),
    ]


def meter(f: pd.DataFrame) -> tuple[pd.Series, list[Kpi]]:
    f = in_service(f)
    electric = f["resource"] == "ELECTRICITY"
    return last_month(f), [
        ("BEN01-10", "share", electric & f["is_smart"].fillna(False), electric),
        ("BEN01-11", "share", f["verification_due_on"] >= f["snapshot_date"], f["meter_id"].notna()),
    ]


def street_light(f: pd.DataFrame) -> tuple[pd.Series, list[Kpi]]:
    f = in_service(f)
    led = f["power_w"].where(f["lamp_type"] == "LED")
    return last_month(f), [("BEN01-12", "share", led.where(f["is_remotely_managed"].fillna(False)), led)]


def in_service(f: pd.DataFrame) -> pd.DataFrame:
    there = (f["installed_at"] < f["snapshot_date"]) & (
        f["removed_at"].isna() | (f["removed_at"] >= f["snapshot_date"])
    )
    return f[there]


def last_month(f: pd.DataFrame) -> pd.Series:
    return f["snapshot_date"] - pd.DateOffset(months=1)


KPIS = {
    "fct_fare_validation": fare_validation,
    "fct_air_hour": air_hour,
    "dim_meter": meter,
    "fct_appeal": appeal,
    "dim_street_light": street_light,
}


def compute(measured: tuple[pd.Series, list[Kpi]], kato: pd.Series) -> pd.DataFrame:
    """Value, numerator and denominator of every KPI by city and month."""
    moment, kpis = measured
    by = [kato.loc[moment.index], moment.dt.to_period("M").dt.to_timestamp().rename("month")]
    found = []
    for code, kind, numerator, denominator in kpis:
        unit = 1000 if numerator.dtype == "Float64" else 1  # decimals are summed exactly, in thousandths
        n = (numerator * unit).round().astype("Int64").groupby(by).sum() / unit
        d = denominator.astype("Int64").groupby(by).sum()
        if kind == "quantile":
            value = n = numerator.groupby(by).quantile(0.9)
        else:
            value = n * (100 if kind == "share" else 1) / d.where(d != 0)
        value = np.floor(value * 1e6 + 0.5) / 1e6
        found.append(pd.DataFrame({"value": value, "n": n, "d": d}).reset_index().assign(code=code))
    return pd.concat(found)


def answer(work: Path) -> Answer:
    rows = {f.table: len(pd.read_parquet(work / f"{f.table}.parquet", columns=["kato"])) for f in FEEDS}
    quarantine, kpis = pd.read_parquet(work / "quarantine.parquet"), pd.read_parquet(work / "kpi.parquet")
    broken = {str(k): int(v) for k, v in (quarantine["table_name"] + " " + quarantine["rule"]).value_counts().items()}
    replaced = pd.read_parquet(work / "replaced.parquet").set_index("table_name")["rows"]
    cells: dict[str, tuple[int, float, float, float]] = {}
    for code, found in kpis.dropna(subset="value").groupby("code"):
        value = float((found["value"] * 1e6).round().sum() / 1e6)
        n, d = (
            (0.0, 0.0)
            if code == "BEN01-9"
            else (float((found["n"] * 1e3).round().sum() / 1e3), float(found["d"].sum()))
        )
        cells[str(code)] = (len(found), value, n, d)
    return Answer(rows, broken, {str(k): int(v) for k, v in replaced.items()}, cells)
