"""The figures as SDMX-CSV, 1.0 and 2.0, written by pysdmx.

Numbers are handed over as the text that the release has, so that none is written otherwise. Does not belong here: structures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from warehouse.publications.figures import Figure
from warehouse.publications.sdmx_structures import PARTS, Structures

if TYPE_CHECKING:
    from pysdmx.model.dataflow import Schema

VERSIONS = ("1.0", "2.0")


def data_message(made: Structures, catalogue: str, rows: Iterable[Figure], version: str) -> str:
    """SDMX-CSV of one list, a row an observation."""
    import pandas as pd
    from pysdmx.io import write_sdmx
    from pysdmx.io.format import Format
    from pysdmx.io.pd import PandasDataset
    from pysdmx.model.dataset import ActionType

    columns = [part.id for part in PARTS]
    frame = pd.DataFrame([row[1:] for row in rows], columns=columns, dtype=object)
    form = {"1.0": Format.DATA_SDMX_CSV_1_0_0, "2.0": Format.DATA_SDMX_CSV_2_0_0}[version]
    data = PandasDataset(structure=_as_text(made, catalogue), data=frame, action=ActionType.Replace)
    text = write_sdmx([data], form)
    assert text is not None
    return text


def _as_text(made: Structures, catalogue: str) -> Schema:
    """The dataflow's schema, with text in every component."""
    from msgspec.structs import replace
    from pysdmx.model import DataType
    from pysdmx.model.dataflow import Components, Schema

    flow, structure = made.dataflows[catalogue], made.structure
    assert structure is not None
    parts = [
        replace(part, local_dtype=DataType.STRING, local_codes=None, required=False) for part in structure.components
    ]
    return Schema(
        context="dataflow", agency=str(flow.agency), id=flow.id, version=flow.version, components=Components(parts)
    )
