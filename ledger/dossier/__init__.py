"""Dossiers: everything that shows how one decision came about, from log entries, documents and openings alone."""

from ledger.dossier.build import Moment, build
from ledger.dossier.collect import Under

__all__ = ["Moment", "Under", "build"]
