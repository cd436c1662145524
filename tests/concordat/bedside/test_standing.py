"""How long a result is current: by the hospital's hours, and by the schema's maximum age of each input."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from concordat import clock
from concordat.bedside import cards
from concordat.bedside.config import Config
from concordat.bedside.item import VALUES, Item
from concordat.bedside.items import Items
from concordat.bedside.record import read_values
from concordat.bedside.standing import outlived, standing
from concordat.bedside.store import FILE, Store
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from tests.support.bundles import feature, schema

DIGEST = "sha256:" + "0" * 64
NOW = clock.now()
CONFIG: Config = {
    "v": 1,
    "address": "http://127.0.0.1:8460",
    "service": "fever",
    "title": "Fever",
    "definition": DIGEST,
    "purpose": "care",
    "viewer": "clinician",
    "threshold": "0.2",
    "stale_after_hours": 1000,
    "late_after_minutes": 30,
    "ehrs": [],
}
LIMITED = schema(feature("temperature", unit="Cel", max_age="P2D"), feature("glucose", unit="mmol/L"))
FRESH, OLD = timedelta(days=2), timedelta(days=2, seconds=1)


def opened(folder: Path, ages: Mapping[str, timedelta], *, values: Mapping[str, Any] | None = None) -> Item:
    """A result, whose inputs were taken so long ago."""
    items = Items(Store(folder), DIGEST)
    item = items.put(
        patient="p1",
        values=values or {"temperature": 38.5, "glucose": 5.5},
        taken={name: clock.rfc3339(NOW - age) for name, age in ages.items()},
        person="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a21",
        consent="",
        subject="",
    )
    items.opened(item, {"explanation": {"probability": "0.0100"}})
    return items.of(item.id)


def stands(item: Item, checked: FeatureSchema = LIMITED) -> str:
    old = outlived(item, checked, now=NOW)
    return standing(item, CONFIG, now=NOW, worker=NOW, outlived=bool(old))


class TestAMaximumAge:
    @pytest.mark.parametrize(("age", "expected"), [(FRESH, "ready"), (OLD, "stale")])
    def test_is_counted_from_when_the_value_was_taken(self, tmp_path: Path, age: timedelta, expected: str) -> None:
        assert stands(opened(tmp_path, {"temperature": age, "glucose": FRESH})) == expected

    def test_is_each_features_own(self, tmp_path: Path) -> None:
        assert stands(opened(tmp_path, {"temperature": FRESH, "glucose": 10 * FRESH})) == "ready"

    def test_does_not_lengthen_what_the_hospital_says(self, tmp_path: Path) -> None:
        assert stands(opened(tmp_path, {"temperature": FRESH, "glucose": timedelta(hours=1001)})) == "stale"

    def test_is_over_for_a_value_that_does_not_say_when_it_was_taken(self, tmp_path: Path) -> None:
        """As when it is read: undated, where an age is asked for."""
        assert stands(opened(tmp_path, {"glucose": FRESH})) == "stale"

    def test_is_none_of_what_was_not_measured(self, tmp_path: Path) -> None:
        values = {"temperature": None, "glucose": 5.5}
        assert stands(opened(tmp_path, {"glucose": FRESH}, values=values)) == "ready"

    def test_that_is_over_is_said_by_name_and_is_no_low_risk(self, tmp_path: Path) -> None:
        item = opened(tmp_path, {"temperature": OLD, "glucose": FRESH})
        told = cards.card(item, "stale", CONFIG, outlived=outlived(item, LIMITED, now=NOW))
        assert told.summary == "Fever: OUT OF DATE, ask again"
        assert "reads it for 2 days after it was taken at most: Temperature." in told.detail
        assert cards.NOT_A_RISK in told.detail
        assert "38" not in told.detail
        assert "0.01" not in told.detail

    @pytest.mark.parametrize(
        ("limit", "words"), [("PT12H", "12 hours"), ("P1DT1H", "1 day 1 hour"), ("PT0H", "0 hours")]
    )
    def test_is_told_in_words(self, tmp_path: Path, limit: str, words: str) -> None:
        limited = schema(feature("temperature", max_age=limit))
        item = opened(tmp_path, {"temperature": OLD}, values={"temperature": 38.5})
        assert (
            f"reads it for {words} after"
            in cards.words(item, "stale", CONFIG, outlived=outlived(item, limited, now=NOW))[1]
        )


class TestPlainValues:
    def test_that_are_too_old_when_they_are_read_are_refused_or_missing(self, tmp_path: Path) -> None:
        (tmp_path / "values.json").write_text(json.dumps({"temperature": 38.5, "glucose": 5.5}))
        for age, expected in (
            (FRESH, {"temperature": 38.5, "glucose": 5.5}),
            (OLD, {"temperature": None, "glucose": 5.5}),
        ):
            read = read_values(tmp_path / "values.json", LIMITED, taken=clock.now() - age)
            assert read.values == expected
            assert set(read.taken) == {name for name, value in expected.items() if value is not None}
        strict = schema(feature("temperature", max_age="P2D", missing="refuse"), feature("glucose"))
        with pytest.raises(Refused) as refused:
            read_values(tmp_path / "values.json", strict, taken=clock.now() - 2 * OLD)
        assert (refused.value.reason, refused.value.field) == (Reason.VALUE_TOO_OLD, "temperature")

    def test_have_times_that_somebody_stated(self, tmp_path: Path) -> None:
        (tmp_path / "values.json").write_text(json.dumps({"glucose": 5.5}))
        read = read_values(tmp_path / "values.json", LIMITED, taken=NOW)
        assert (read.source, read.origins) == (VALUES, None)


def test_a_store_from_before_is_read_as_it_was(tmp_path: Path) -> None:
    item = opened(tmp_path, {"temperature": FRESH, "glucose": FRESH})
    with sqlite3.connect(tmp_path / FILE) as db:
        for column in ("urgency", "source", "origins", "looked"):
            db.execute(f"ALTER TABLE item DROP COLUMN {column}")
    found = Items(Store(tmp_path), DIGEST).of(item.id)
    assert found == item
    assert (found.urgency, found.source, found.origins, found.stated, found.server) == ("routine", "", None, False, "")
