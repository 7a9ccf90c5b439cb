"""Lists: incidents of data quality, catalogues, KPIs of one catalogue beside those of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, Words
from warehouse.home.account import ACCOUNT, shown
from warehouse.messages.messages import sentence, told_in
from warehouse.store.store import Store

if TYPE_CHECKING:
    from kpi_definitions.catalogue import Catalogue, Counterpart


def show_incidents(console: Console, store: Store, words: Words = ENGLISH, *, closed: bool) -> None:
    """Incidents of data quality; `closed`: those too, with who closed them."""
    accounts = store.con.execute("SELECT subject, detail FROM audit.ledger WHERE kind = 'incident-closed'").fetchall()
    by_account = {subject: account for subject, detail in accounts if (account := json.loads(detail).get(ACCOUNT))}
    title = words("incidents_all" if closed else "incidents_open")
    table = Table(title=title, title_justify="left")
    for name in ("incident_number", "criterion_and_kind", "where", "found"):
        table.add_column(words(name), overflow="fold", no_wrap=name == "where")
    for one in incidents_told(store, words, closed=closed):
        account = by_account.get(str(one["incident_id"]))
        where = f"{words.name('table', one['table_name'])}\n{one['place']} {one['period_id']}"
        found = f"{one['rule']}: {one['observed']}, {words('delivery_number', delivery=one['delivery_id'])}"
        if one["closed_by"]:
            found += f"\n{words('closed_by', by=one['closed_by'], why=one['closing_reason'])}"
        found += f"\n({shown(account)})" if account else ""
        table.add_row(str(one["incident_id"]), f"{one['criterion_name']}\n({one['kind_name']})", where, found)
    console.print(table)
    console.print(words("close_by_hand"), highlight=False)


def incidents_told(store: Store, words: Words, *, closed: bool) -> list[dict[str, Any]]:
    """Incidents as plain data, what was found and asked for in the language of `words`; `closed`: closed ones too."""
    language = words.language
    found = store.select(
        "SELECT incident_id, delivery_id, table_name, system, scope, period_id, rule, criterion, kind, observed, expected, opened_seq, opened_at, "
        "closed_seq, closed_at, closed_by, closing_reason FROM audit.incident WHERE closed_seq IS NULL OR ? ORDER BY incident_id",
        [closed],
    )
    for one in found:
        one["place"] = words.place(one["scope"])
        one["criterion_name"] = sentence(f"criterion.{one['criterion']}", language)
        one["kind_name"] = sentence(f"incident_kind.{one['kind']}", language)
        number = str(one["closed_by"] or "").partition("delivery ")[2]
        if number.isdigit():  # a later delivery, else a person
            one["closed_by"] = words("delivery_number", delivery=number)
    return [told_in(one, language) for one in found]


def show_catalogues(console: Console, lists: Sequence[Catalogue], words: Words = ENGLISH) -> None:
    """Catalogues with their dates of effect, sizes and legal basis."""
    table = Table(title=words("catalogues"), title_justify="left")
    for name in (
        "catalogue",
        "version",
        "standing_of_list",
        "dates_of_effect",
        "initiatives",
        "kpis",
        "assessment_rules",
        "unchecked",
    ):
        table.add_column(words(name), overflow="fold")
    for one in lists:
        head = one.head
        basic = sum(i.basis == "basic" for i in one.initiatives)
        added = len(one.initiatives) - basic
        table.add_row(
            head.id,
            head.version,
            words(head.status),
            words("range", low=str(head.valid_from), high=str(head.valid_to or "...")),
            f"{basic} + {added}",
            str(len(one.codes)),
            ", ".join(words("rules_from", version=r.version, since=str(r.valid_from)) for r in one.assessments)
            or words("none"),
            ", ".join(head.unchecked_languages) or words("none"),
        )
    console.print(table)
    for one in lists:
        console.print(f"{one.head.id}: {one.head.legal_basis.strip()}", highlight=False, style="dim")


def show_comparison(
    console: Console, ours: Catalogue, theirs: Catalogue, found: Sequence[Counterpart], words: Words = ENGLISH
) -> None:
    """KPIs of one catalogue, each with its counterparts in another."""
    title = words("compared", ours=ours.head.id, theirs=theirs.head.id)
    table = Table(title=title, title_justify="left")
    for name in (words("kpi"), words("name"), words("likeness"), words("in_list", catalogue=theirs.head.id)):
        table.add_column(name, overflow="fold")
    names = {k.code: getattr(k.name, words.language) or k.name.ru for k in ours.kpis}
    for one in found:
        table.add_row(one.code, names[one.code], words(one.likeness.replace(" ", "_")), ", ".join(one.others))
    console.print(table)
    met = {code for one in found if one.likeness == "same meaning" for code in one.others}
    alone = [code for code in theirs.codes if code not in met]
    told = words("without_counterpart", catalogue=ours.head.id, codes=alone or words("none"))
    console.print(told, highlight=False)
