"""Nothing that a reader types, and no example, ends one day: what is ahead is a duration, or is very far ahead."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, blocks

DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
FAR = "2099"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_has_a_day_that_lies_ahead(page: Path) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert [day for each in blocks(page) for day in DAY.findall(each.code) if day > today] == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/**/*.json")), ids=lambda file: file.name)
def test_what_lies_ahead_in_an_example_lies_very_far_ahead(file: Path) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert [day for day in DAY.findall(file.read_text()) if today < day < FAR] == []
