"""A hospital's bedside beside a real client home, and a coordinator that its worker reaches without a network."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.bedside.worker import Worker
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.definition import opens
from tests.concordat.client.conftest import (  # noqa: F401  (fixtures)
    PERSON,
    PURPOSE,
    VALUES,
    World,
    agreed,
    away,
    stage,
    stages,
    world,
)
from tests.support.bedside import PATIENT, Running, configured, running, taken


@dataclass
class Hospital:
    """long-beach, its store and its worker."""

    world: World
    definition: CheckedDefinition
    home: ClientHome
    config: Config
    store: Store

    @property
    def items(self) -> Items:
        return Items(self.store, self.config["definition"])

    def worker(self, **options: Any) -> Worker:
        return Worker(self.home, self.world.api("long-beach"), self.store, self.config, sleep=lambda _: None, **options)

    def enqueue(self, patient: str = PATIENT, *, hours: float = 1, consent: str = "", **changes: Any) -> Item:
        values = VALUES | changes
        return self.items.put(
            patient=patient,
            values=values,
            taken=taken(values, hours),
            person=PERSON,
            consent=consent or self.world.consent(),
            subject="",
        )

    def opened(self, patient: str = PATIENT, **options: Any) -> Item:
        """Asked, sent, computed, opened."""
        item = self.enqueue(patient, **options)
        self.worker().round()
        self.world.compute(self.definition, of=item.id)
        self.worker().round()
        return self.items.of(item.id)


@pytest.fixture
def hospital(world: World, agreed: CheckedDefinition) -> Hospital:  # noqa: F811
    home = world.homes["long-beach"]
    return Hospital(world, agreed, home, configured(home, agreed.digest, PURPOSE), Store(home.directory))


@pytest.fixture
def curious(world: World, away: None) -> Hospital:  # noqa: F811
    """A hospital whose definition allows one what-if with a record."""
    opened, budgets = opens("explain", mirrored=True, what_ifs=1), {"jobs_a_day": 10, "jobs": 100, "scalars": 9999}
    definition = world.agree(what_ifs=1, opened=opened, budgets=budgets)
    home = world.homes["long-beach"]
    return Hospital(world, definition, home, configured(home, definition.digest, PURPOSE), Store(home.directory))


@pytest.fixture
def shown(hospital: Hospital) -> Iterator[Running]:
    """The web process of that hospital."""
    with running(hospital.config, hospital.home) as there:
        yield there


def limit(hospital: Hospital, name: str, max_age: str) -> None:
    """The schema, as the store holds it, reads this feature for no longer than that."""
    with hospital.store.write() as db:
        (content,) = db.execute("SELECT content FROM document WHERE name = 'documents'").fetchone()
        known = json.loads(content)
        next(each for each in known["schema"]["features"] if each["name"] == name)["max_age"] = max_age
        db.execute("UPDATE document SET content = ? WHERE name = 'documents'", (json.dumps(known),))


def probability(item: Item) -> float:
    assert item.result is not None
    return float(item.result["explanation"]["probability"])
