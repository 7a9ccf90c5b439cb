"""Lists: incidents of data quality, catalogues, KPIs of one catalogue beside those of another."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from kpi_definitions.catalogue import Catalogue, Counterpart
from warehouse.home.account import ACCOUNT, shown
from warehouse.store.store import Store


def show_incidents(console: Console, store: Store, *, closed: bool) -> None:
    """Incidents of data quality; `closed`: those too, with who closed them."""
    accounts = store.con.execute("SELECT subject, detail FROM audit.ledger WHERE kind = 'incident-closed'").fetchall()
    by_account = {subject: account for subject, detail in accounts if (account := json.loads(detail).get(ACCOUNT))}
    rows = store.con.execute(
        "SELECT incident_id, criterion || chr(10) || '(' || kind || ')', table_name || chr(10) || scope_en || ' ' || period_id, "
        "rule || ': ' || observed_en || ', delivery ' || delivery_id || coalesce(chr(10) || 'closed by ' || closed_by || ': ' || closing_reason_en, '') "
        "FROM incidents WHERE closed_seq IS NULL OR ? ORDER BY incident_id",
        [closed],
    ).fetchall()
    table = Table(title="Incidents of data quality" + ("" if closed else " that are open"), title_justify="left")
    for name in ("no.", "criterion (kind)", "where", "what was found"):
        table.add_column(name, overflow="fold", no_wrap=name == "where")
    for number, *row in rows:
        account = by_account.get(str(number))
        row[-1] += f"\n({shown(account)})" if account else ""
        table.add_row(str(number), *map(str, row))
    console.print(table)
    console.print("close one by hand: qala incidents --close NO --by NAME --reason TEXT", highlight=False)


def show_catalogues(console: Console, lists: Sequence[Catalogue]) -> None:
    """Catalogues with their dates of effect, sizes and legal basis."""
    table = Table(title="Catalogues", title_justify="left")
    for name in (
        "catalogue",
        "version",
        "status",
        "in force",
        "initiatives",
        "KPIs",
        "assessment rules",
        "labels not checked",
    ):
        table.add_column(name, overflow="fold")
    for one in lists:
        head = one.head
        basic = sum(i.basis == "basic" for i in one.initiatives)
        added = len(one.initiatives) - basic
        table.add_row(
            head.id,
            head.version,
            head.status,
            f"{head.valid_from} to {head.valid_to or '...'}",
            f"{basic} + {added}",
            str(len(one.codes)),
            ", ".join(f"{r.version} from {r.valid_from}" for r in one.assessments) or "none",
            ", ".join(head.unchecked_languages) or "none",
        )
    console.print(table)
    for one in lists:
        console.print(f"{one.head.id}: {one.head.legal_basis.strip()}", highlight=False, style="dim")


def show_comparison(console: Console, ours: Catalogue, theirs: Catalogue, found: Sequence[Counterpart]) -> None:
    """KPIs of one catalogue, each with its counterparts in another."""
    table = Table(title=f"KPIs of {ours.head.id} beside those of {theirs.head.id}", title_justify="left")
    for name in ("KPI", "name", "likeness", f"in {theirs.head.id}"):
        table.add_column(name, overflow="fold")
    names = {k.code: k.name.en for k in ours.kpis}
    for one in found:
        table.add_row(one.code, names[one.code], one.likeness, ", ".join(one.others))
    console.print(table)
    met = {code for one in found if one.likeness == "same meaning" for code in one.others}
    alone = [code for code in theirs.codes if code not in met]
    console.print(f"without the same meaning in {ours.head.id}: {', '.join(alone) or 'none'}", highlight=False)
