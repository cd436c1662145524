"""What a budget leaves is spent once, also by processes that ask at the same moment."""

import os
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from concordat import clock
from concordat.reasons import Reason, Refused
from governance.models import BudgetUse, Definition
from governance.services import budgets
from tests.governance.conftest import Consortium

ROOT = Path(__file__).parents[2]

SPENDER = """
import sys, time
from pathlib import Path
import django
django.setup()
from concordat import clock
from concordat.reasons import Refused
from governance.models import Definition, Institution
from governance.services import budgets

definition, requester = Definition.objects.get(), Institution.objects.get(slug="long-beach")
Path(sys.argv[1]).touch()
while not Path(sys.argv[2]).exists():
    time.sleep(0.005)
spent = 0
for _ in range(5):
    try:
        budgets.spend(definition=definition, requester=requester, now=clock.now())
        spent += 1
    except Refused as refused:
        assert refused.reason == "budget-spent", refused
print(spent)
"""


@pytest.fixture
def known(consortium: Consortium) -> Definition:
    content = {"budgets": {"jobs_a_day": 6, "jobs": 8, "scalars": 1000}}
    return consortium.register(consortium.content(consortium.approved(), consortium.import_model(), **content))


def spend(consortium: Consortium, known: Definition, *, days: int = 0) -> None:
    now = clock.now() + timedelta(days=days)
    budgets.spend(definition=known, requester=consortium.at["long-beach"], now=now)


def refused(consortium: Consortium, known: Definition, *, days: int = 0) -> str:
    with pytest.raises(Refused) as caught:
        spend(consortium, known, days=days)
    assert caught.value.reason is Reason.BUDGET_SPENT
    return caught.value.field


def test_each_job_takes_its_part(consortium: Consortium, known: Definition) -> None:
    for _ in range(6):
        spend(consortium, known)
    assert refused(consortium, known) == "budgets.jobs_a_day"
    for _ in range(2):
        spend(consortium, known, days=1)
    assert refused(consortium, known, days=1) == "budgets.jobs"
    assert list(BudgetUse.objects.values_list("jobs", "scalars")) == [(2, 28), (6, 84)]


def test_what_is_given_back_can_be_spent_again(consortium: Consortium, known: Definition) -> None:
    for _ in range(6):
        spend(consortium, known)
    budgets.refund(definition=known, requester=consortium.at["long-beach"], spent=clock.now())
    spend(consortium, known)
    assert refused(consortium, known) == "budgets.jobs_a_day"


def test_a_refused_spending_takes_nothing(consortium: Consortium, known: Definition) -> None:
    Definition.objects.update(scalars=1001)
    known.refresh_from_db()
    assert refused(consortium, known) == "budgets.scalars"
    assert not BudgetUse.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="tests/compute/postgresql.py does the same there")
def test_two_processes_never_overspend(
    consortium: Consortium, known: Definition, tmp_path: Path, settings: Any
) -> None:
    """Each asks five times, six are left: together they get six. On a file, as the service runs."""
    file = tmp_path / "copy.sqlite3"
    copy = sqlite3.connect(file)
    copy.executescript("\n".join(connection.connection.iterdump()))
    copy.close()
    environment = {
        **os.environ,
        "CONCORDAT_DATABASE_URL": f"sqlite:///{file}",
        "CONCORDAT_STATE_DIR": str(settings.STATE_DIR),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    ready, go = [tmp_path / f"ready-{number}" for number in range(2)], tmp_path / "go"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, str(each), str(go)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in ready
    ]
    while not all(each.exists() for each in ready):
        assert all(each.poll() is None for each in running)
        time.sleep(0.01)
    go.touch()
    spent = [int(each.communicate(timeout=60)[0]) for each in running]
    assert sum(spent) == 6
    copy = sqlite3.connect(file)
    assert copy.execute("SELECT jobs, scalars FROM governance_budgetuse").fetchall() == [(6, 84)]
    copy.close()
