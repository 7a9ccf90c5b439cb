"""Where one installation keeps everything: paths, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """Where one installation keeps everything: `QALA_HOME`, or ./qala-home."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        return cls(Path(os.environ.get("QALA_HOME", "qala-home")).resolve())

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def scratch(self) -> Path:
        """Extracts in clear text while they are read (warehouse/home/scratch.py)."""
        return self.root / "scratch"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def contracts(self) -> Path:
        """Source contracts of this installation, beside those that come with qala."""
        return self.root / "contracts"

    @property
    def showcase(self) -> Path:
        """Contracts of this installation's own showcase tables, beside those that come with qala."""
        return self.root / "showcase"

    @property
    def catalogues(self) -> Path:
        """KPI catalogues of this installation, beside those that come with qala."""
        return self.root / "catalogues"

    @property
    def sources(self) -> Path:
        """Systems that extracts are fetched from, a file each (connectors/sources/connections.py)."""
        return self.root / "sources"

    @property
    def pulls(self) -> Path:
        """When each source was looked at last, and what came of it; may be lost (connectors/sources/notes.py)."""
        return self.root / "pulls"

    @property
    def corrections(self) -> Path:
        """Declared corrections of what sources have wrong (connectors/corrections.py)."""
        return self.root / "corrections"

    @property
    def engine_settings(self) -> Path:
        """Which engine measures (warehouse/engines/settings.py); without the file the warehouse does."""
        return self.root / "engine.yaml"

    @property
    def notification_settings(self) -> Path:
        """Who is told what is wrong (pipelines/notifications/settings.py); without the file nobody is."""
        return self.root / "notifications.yaml"

    @property
    def notifications(self) -> Path:
        """What is to be told, and was; may be lost, then what stands is told again (pipelines/notifications/)."""
        return self.root / "notifications"

    @property
    def engine(self) -> Path:
        """What other engines are given and keep here (warehouse/engines/)."""
        return self.root / "engine"

    @property
    def release(self) -> Path:
        return self.root / "release"

    @property
    def report(self) -> Path:
        """The newest release as pages."""
        return self.root / "report"

    @property
    def reused(self) -> Path:
        """Of former releases, what makes the next one sooner done (warehouse/release/); may be lost."""
        return self.root / "reused"

    @property
    def released_file(self) -> Path:
        return self.release / "qala.duckdb"
