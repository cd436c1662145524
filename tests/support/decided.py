"""A decision that the real services have made, in the coordinator's own tables: its dossier verifies as a whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from compute.models import Job
from compute.services import dispatch, results
from concordat import clock, display, outputs
from governance.models import Institution, Matter
from governance.services import people
from ledger.models import LogEntry
from tests.support.consortium import NODES, REQUESTER, Consortium, new_uuid
from tests.support.coordinator import World
from tests.support.decision import computed, seal_shares
from tests.support.matters import let_in, open_matter


@dataclass
class Decided:
    """The consortium's study, its approved computation, and one result that was shown. Nothing is told to a broker:
    the test sees to that."""

    consortium: Consortium
    commit: Callable[[], AbstractContextManager[Any]]

    def __post_init__(self) -> None:
        self.world = World(self.consortium, self.commit)
        self.at: dict[str, Institution] = self.world.bodies
        self.prepared = self.consortium.prepare()
        self.job = self._recorded(self.world.ask(self.prepared))
        token = display.show(
            request=str(self.job.request_uuid),
            job=str(self.job.uuid),
            template="terminal-v1",
            language="en",
            rendered="A text.",
            viewer="cardiologist",
            decision="accepted",
            time=clock.now(),
            key=self.consortium.identity(REQUESTER),
        )
        results.note_display(job=self.job, display=token, by=self.at[REQUESTER])

    def _recorded(self, job: Job) -> Job:
        """What comes out is what the model computes."""
        dispatch.push(job=job)
        for slug in NODES:
            job = self.world.answer(job, slug, self.world.acceptance(job, slug))
        dispatch.push(job=job)
        committed, self.sealed = seal_shares(
            computed(self.consortium), job=str(job.uuid), output_key=self.prepared.output_key.public
        )
        for slug in NODES:
            job = self.world.result(job, slug, self.world.receipt(job, slug, outputs=committed.get(slug)))
        return job

    @property
    def entry(self) -> LogEntry:
        return LogEntry.objects.get(index=self.job.prediction_entry)

    @property
    def number(self) -> str:
        return self.entry.record_number

    @property
    def disclosure(self) -> dict[str, Any]:
        """As `concordat disclose --with-record` writes it."""
        return {
            "v": 2,
            "record": self.number,
            "job": str(self.job.uuid),
            "request": self.prepared.token,
            "place": 0,
            "outputs": {
                party: outputs.unseal(sealed, job=str(self.job.uuid), node=party, key=self.prepared.output_key)[0]
                for party, sealed in self.sealed.items()
            },
            "inputs": self.prepared.openings[0],
        }

    def matter(self, slug: str, reviewer: User, **changes: Any) -> Matter:
        """A matter of the institution that names the decision, into which the reviewer is let."""
        administrator = self.member(slug, "institution-admin")
        matter = open_matter(administrator, self.at[slug], self.number, **changes)
        let_in(administrator, matter, reviewer)
        return matter

    def reviewer(self, slug: str) -> User:
        """A legal reviewer who is let into such a matter."""
        reviewer = self.member(slug, "legal-reviewer")
        self.matter(slug, reviewer, prefix=f"M{new_uuid()[:8].upper()}")
        return reviewer

    def member(self, slug: str, role: str) -> User:
        name, email = f"Dr {role} of {slug} {new_uuid()[:6]}", f"{new_uuid()}@example.org"
        return people.add_member(email=email, name=name, institution=self.at[slug], role=role).user
