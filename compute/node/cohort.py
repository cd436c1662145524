"""What an institution brings to an audit or a training (`cohort_rows`): allowed by its policy, not too soon after
another one, within what trainings may tell of a person in all, and written down before it is brought.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from compute.node import cohort_rows
from compute.node.authority import Grant
from compute.node.home import NodeHome
from compute.node.opened import OpenedNumbers
from compute.node.state import transaction
from concordat import canonical, clock, ring
from concordat.cohort import Encoded
from concordat.reasons import Reason, Refused
from concordat.training_plan import TrainingPlan

COHORT_DAYS = 28
"""Between two audits or trainings to which rows are brought, where the policy says nothing else."""

EPSILON = 10.0
"""What all trainings together may tell of a person (`concordat.training_privacy`), where the policy says nothing."""

_EVERYTHING = 1e6
"""The ε of a training without noise: more than any policy allows."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS brought (
    ticket TEXT PRIMARY KEY, job TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL, definition TEXT NOT NULL,
    requester TEXT NOT NULL, rows TEXT NOT NULL, salt BLOB NOT NULL, counted INTEGER NOT NULL, left_out TEXT NOT NULL,
    epsilon REAL NOT NULL
)
"""

log = structlog.get_logger()


class Cohort:
    """The institution's rows, and its own account of what it brought to which job."""

    def __init__(self, home: NodeHome, opened: OpenedNumbers) -> None:
        self._home = home
        self._opened = opened

    def check(self, grant: Grant, *, now: datetime) -> None:
        """That there would be rows now, before anybody waits for them.

        Raises:
            Refused: POLICY_REFUSES so soon after another audit or training that what changed in the table meanwhile
                would be the difference of what they tell, or for a training that would make all of them tell more of a
                person than they may; as `cohort_rows.check`.
        """
        if grant.plan is None or grant.role == "dealer":
            return
        self._check_earlier(grant, now)
        cohort_rows.check(self._home, grant)

    def bring(self, grant: Grant, *, now: datetime) -> Encoded | None:
        """The rows, encoded and padded; None for whoever brings none. That they are brought is written down before they
        are: their digest under a salt, so that the institution can show later what they were, and how many were counted
        and left out. Raises Refused as `check`."""
        if grant.plan is None or grant.role == "dealer":
            return None
        self.check(grant, now=now)
        encoded = cohort_rows.encoded(self._home, grant)
        self._note(grant, encoded, now)
        log.info("rows.brought", job=grant.ticket["job"])
        return encoded

    def taught(self, ticket: str) -> bool:
        """Whether rows were brought to a training by this ticket: whoever had them may have learnt something of them,
        whatever became of the result."""
        with self._account() as database:
            found = database.execute("SELECT 1 FROM brought WHERE ticket = ? AND kind = 'train'", (ticket,)).fetchone()
        return found is not None

    @contextmanager
    def _account(self) -> Iterator[sqlite3.Connection]:
        """What was brought. An account from before trainings had noise has no ε: theirs told all there was to tell."""
        with transaction(self._home.state) as database:
            database.execute(_SCHEMA)
            if "epsilon" not in [name for _, name, *_ in database.execute("PRAGMA table_info(brought)")]:
                database.execute("ALTER TABLE brought ADD COLUMN epsilon REAL NOT NULL DEFAULT 0")
                database.execute("UPDATE brought SET epsilon = ? WHERE kind = 'train'", (_EVERYTHING,))
            yield database

    def _check_earlier(self, grant: Grant, now: datetime) -> None:
        """Only what may have told something counts: of all else this node kept back its share."""
        with self._account() as database:
            found = database.execute(
                "SELECT ticket, at, epsilon FROM brought WHERE ticket != ? ORDER BY at DESC", (grant.ticket["ticket"],)
            ).fetchall()
        counted = [(at, epsilon) for ticket, at, epsilon in found if self._opened.counts(ticket)]
        days = self._home.policy.get("cohort_days", COHORT_DAYS)
        if counted and counted[0][0] > clock.rfc3339(now - timedelta(days=days)):
            detail = f"Rows were last brought at {counted[0][0]}; the next time {days} days later at the earliest."
            raise Refused(Reason.POLICY_REFUSES, detail=detail, field="cohort_days")
        if isinstance(grant.plan, TrainingPlan):
            most, spent = float(self._home.policy.get("epsilon", EPSILON)), sum(epsilon for _, epsilon in counted)
            if spent + grant.plan.epsilon > most:
                detail = f"Trainings have spent {spent:g} of {most:g}, and this one would spend {grant.plan.epsilon:g}."
                raise Refused(Reason.POLICY_REFUSES, detail=detail, field="epsilon")

    def _note(self, grant: Grant, encoded: Encoded, now: datetime) -> None:
        salt = secrets.token_bytes(32)
        rows = canonical.digest(salt + ring.to_bytes(encoded.records) + ring.to_bytes(encoded.members))
        said = (
            grant.ticket["ticket"],
            grant.ticket["job"],
            grant.definition["kind"],
            clock.rfc3339(now),
            grant.ticket["definition"],
            grant.request["requester"],
            rows,
            salt,
            encoded.counted,
            canonical.encode(dict(encoded.left_out)).decode(),
            grant.plan.epsilon if isinstance(grant.plan, TrainingPlan) else 0.0,
        )
        with self._account() as database:
            database.execute("INSERT INTO brought VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", said)
