"""Dossiers: everything that shows how one decision came about, from log entries, documents and openings alone."""

from ledger.dossier.build import Moment, build

__all__ = ["Moment", "build"]
