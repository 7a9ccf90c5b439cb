"""A home with a table of its own, a source contract that feeds it and a list with a KPI over it: files, as people write them."""

from __future__ import annotations

from warehouse.home.home import Home

TABLE, SYSTEM, CODE = "fct_pothole", "roads", "OWN01-1"
COLUMNS = {
    "pothole_id": "logicalType: string, logicalTypeOptions: {maxLength: 64}, required: true, primaryKey: true, primaryKeyPosition: 1",
    "found_at": "logicalType: timestamp, required: true",
    "repaired_at": "logicalType: timestamp",
    "area_m2": "logicalType: number, physicalType: 'DECIMAL(9,2)', logicalTypeOptions: {minimum: 0}",
}
_COLUMN = """\
      - {{name: {name}, {facts}, classification: open, description: 'What {name} is',
         customProperties: [{{property: descriptionRu, value: Что это}}]}}
"""
_TABLE = """\
apiVersion: v3.1.0
kind: DataContract
id: city.showcase.{name}
name: {name}
version: 1.0.0
status: active
domain: INF
team: {{name: Roads}}
customProperties:
  - {{property: delivery, value: complete}}
  - {{property: cutBy, value: found_at}}
slaProperties:
  - {{property: frequency, value: 1, unit: m}}
  - {{property: latency, value: 10, unit: d}}
schema:
  - name: {name}
    businessName: Potholes
    logicalType: object
    physicalType: table
    description: Potholes found on streets, one row each.
    customProperties:
      - {{property: titleRu, value: Ямы}}
      - {{property: titleKk, value: Шұңқырлар}}
      - {{property: descriptionRu, value: Ямы на дорогах}}
    properties:
{columns}    quality:
      - {{id: repaired-later, type: custom, engine: qala, severity: error, dimension: consistency, implementation: repaired_at >= found_at,
         description: It is repaired after it was found}}
      - id: rejected-share
        type: custom
        engine: greatExpectations
        severity: error
        dimension: accuracy
        description: At most half of the rows break a row rule
        implementation: {{type: expect_column_values_to_be_between, kwargs: {{column: rejected_percent, max_value: 50}}}}
"""
_SOURCE = """\
apiVersion: v3.1.0
kind: DataContract
id: roads.fct_pothole
name: roads_fct_pothole
version: 1.0.0
status: active
customProperties:
  - {property: system, value: roads}
  - {property: delimiter, value: ;}
  - {property: decimalSeparator, value: ','}
schema:
  - name: fct_pothole
    properties:
      - {name: pothole_id, physicalName: Номер}
      - {name: found_at, physicalName: Найдена, logicalType: timestamp, logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm'}}
      - {name: repaired_at, physicalName: Закрыта, logicalType: timestamp, logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm'}}
      - {name: area_m2, physicalName: Площадь}
"""
EXTRACT = """\
Номер;Найдена;Закрыта;Площадь
Я-1;05.03.2026 14:10;09.03.2026 10:00;4,5
Я-2;06.03.2026 08:05;;0,75
Я-3;11.03.2026 17:40;12.03.2026 09:30;12,25
Я-4;20.03.2026 10:00;19.03.2026 10:00;1,00
"""
_HEAD = """\
id: own-list
version: '1'
name: {en: Own list, ru: Свой перечень}
status: proposal
legal_basis: An act of nobody.
valid_from: 2026-01-01
spheres:
  - {code: INF, number: 8, name: {en: Infrastructure, ru: Инфраструктура}}
"""
_INITIATIVE = """\
code: OWN01
sphere: INF
name: {en: Potholes, ru: Ямы}
named_in_order: false
categories: [republican, regional, district]
kpis:
  - code: OWN01-1
    version: 1
    valid_from: 2026-01-01
    change_note: First version.
    name: {en: Potholes repaired, ru: Отремонтированные ямы}
    unit: PT
    direction: higher
    kind: share
    period: M
    categories: [republican, regional, district]
    scale: 100
    rows: {table: fct_pothole, event: found_at}
    numerator: {aggregate: count(*), filter: repaired_at IS NOT NULL}
    denominator: {aggregate: count(*)}
    coverage: {minimum: 1}
    late_data_days: 0
    standards: {fit: none}
"""


def table_text(name: str = TABLE, columns: dict[str, str] | None = None) -> str:
    """The contract of a table: column → its facts, as one line of YAML."""
    lines = (_COLUMN.format(name=column, facts=facts) for column, facts in (columns or COLUMNS).items())
    return _TABLE.format(name=name, columns="".join(lines))


def add_table(home: Home, text: str = "", name: str = TABLE) -> None:
    home.showcase.mkdir(parents=True, exist_ok=True)
    (home.showcase / f"{name}.odcs.yaml").write_text(text or table_text(name), encoding="utf-8")


def add_source(home: Home) -> None:
    home.contracts.mkdir(parents=True, exist_ok=True)
    (home.contracts / "roads.odcs.yaml").write_text(_SOURCE, encoding="utf-8")


def add_list(home: Home) -> None:
    """The list, its meanings recorded."""
    from kpi_definitions.catalogue import load_one, record_fingerprints

    folder = home.catalogues / "own-list"
    (folder / "spheres" / "inf").mkdir(parents=True)
    (folder / "catalogue.yaml").write_text(_HEAD, encoding="utf-8")
    (folder / "spheres" / "inf" / "OWN01.yaml").write_text(_INITIATIVE, encoding="utf-8")
    record_fingerprints(load_one(folder))
