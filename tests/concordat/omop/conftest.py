"""A warehouse with one person in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.omop import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    made = Warehouse(tmp_path / "cdm.sqlite3")
    made.add("person")
    yield made
    made.close()
