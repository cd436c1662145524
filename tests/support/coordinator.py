"""The coordinator's database with a study that everyone has approved, and what its broker was handed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from compute.models import Job
from compute.services import dispatch, jobs, models, results, waiting
from concordat import answers, clock, receipt
from concordat.asking import Prepared
from concordat.canonical import digest
from concordat.reasons import Reason
from concordat.ticket import Ticket
from governance.models import Institution, ProtocolVersion, Study
from governance.services import consent, definitions, institutions
from ledger.models import ChainTransaction, TransactionState
from tests.support.approval import approve, rely
from tests.support.consortium import EVERYONE, NODES, OWNER, PARTIES, REQUESTER, SCHEMA, STUDY, Consortium, new_uuid
from tests.support.decision import Decision
from tests.support.transcripts import transcripts


@dataclass
class World:
    """Everything up to an authorised request is done by the real services; `sent` is what went to the broker."""

    consortium: Consortium
    commit: Callable[[], AbstractContextManager[Any]]
    sent: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.consortium
        self.bodies: dict[str, Institution] = {
            slug: institutions.enrol(token=made.homes[slug].enrolment) for slug in EVERYONE
        }
        now = clock.now()
        self.study = Study.objects.create(
            slug=STUDY,
            title="Chest pain",
            institution=self.bodies[OWNER],
            created=now,
        )
        self.study.sites.set([self.bodies[slug] for slug in EVERYONE])
        ProtocolVersion.objects.create(
            study=self.study,
            number=1,
            digest=digest(made.protocol),
            base=digest(made.protocol),
            content=made.protocol,
            submitted=now,
        )
        boards = {self.bodies[slug]: [self.bodies[slug]] for slug in PARTIES}
        for site, board in made.boards.relies.items():
            rely(self.bodies[site], self.bodies[board])
            boards[self.bodies[board]].append(self.bodies[site])
        approve(self.study, boards=boards)
        logged = Decision(made)
        for slug, roster in zip(made.protocol["sites"], made.reviews["rosters"], strict=True):
            logged.roster(slug, roster)  # the same for every test: nodes remember what they saw under a number
        logged.approve()
        manifest, sealed = made.published
        self.model = models.import_model(manifest=manifest, sealed=sealed, by=self.bodies[OWNER])
        if made.disclosure:
            definitions.disclose(token=made.disclosure)
        self.definition = definitions.register(
            institution=self.bodies[OWNER], content=made.definition, schema=SCHEMA, design=made.design
        )
        for vote in made.votes:
            definitions.relay_vote(vote=vote)
        ChainTransaction.objects.update(state=TransactionState.MINED)
        consent.give(institution=self.bodies[REQUESTER], token=made.consent)

    # --- the requester

    def ask(self, prepared: Prepared | None = None, *, by: str = REQUESTER, key: str | None = None, **changes) -> Job:
        prepared = prepared or self.consortium.prepare()
        if kind := self.consortium.many:
            by = self.consortium.asks if by == REQUESTER else by
            with self.commit():
                return jobs.request_of_many(
                    kind=kind, request=prepared.token, idempotency_key=key or new_uuid(), by=self.bodies[by]
                )
        arguments = {"request": prepared.token, "sealed": dict(prepared.sealed)} | changes
        with self.commit():
            return jobs.request_prediction(**arguments, idempotency_key=key or new_uuid(), by=self.bodies[by])

    # --- the nodes, signing with their real keys

    def ticket(self, job: Job) -> Ticket:
        job.refresh_from_db()
        return dispatch.read_own_ticket(job)

    def acceptance(self, job: Job, slug: str, **changes) -> str:
        fields = {
            "node": slug,
            "address": "127.0.0.1:4000",
            "certificate": f"certificate-of-{slug}",
            "expires": clock.now() + timedelta(minutes=1),
            "key": self.consortium.identity(slug),
        }
        return answers.accept(self.ticket(job), **fields | changes)

    def refusal(self, job: Job, slug: str, reason: Reason) -> str:
        key = self.consortium.identity(slug)
        return answers.refuse(self.ticket(job), node=slug, reason=reason, time=clock.now(), key=key)

    def receipt(self, job: Job, slug: str, **changes) -> str:
        committed = digest(slug.encode())
        party, many = slug != "notary", self.consortium.many
        outputs = [] if many else [{"prediction": committed, "explanation": committed}] * 2
        fields = {
            "rounds": 4,
            "bytes_sent": 100,
            "cpu_seconds": 1,
            "energy_joules": 15,
            "transcripts": transcripts(NODES, slug),
            "outputs": outputs if party else None,
            "counts": committed if party and many == "audit" else "",
            "weights": committed if party and many == "train" else "",
            "started": clock.now(),
            "finished": clock.now(),
            "key": self.consortium.identity(slug),
        }
        ticket = self.ticket(job) | {name: changes.pop(name) for name in list(changes) if name not in fields}
        return receipt.write(ticket, node=slug, **fields | changes)

    def answer(self, job: Job, slug: str, answer: str) -> Job:
        with self.commit():
            return dispatch.take_answer(job=job, node=self.bodies[slug], answer=answer)

    def result(self, job: Job, slug: str, token: str | None = None) -> Job:
        sealed = None if slug == "notary" else f"sealed by {slug}"
        with self.commit():
            return results.take_result(
                job=job, node=self.bodies[slug], receipt=token or self.receipt(job, slug), sealed=sealed
            )

    # --- a job that has come a certain way

    def dispatched(self, job: Job | None = None) -> Job:
        job = job or self.ask()
        with self.commit():
            dispatch.push(job=job)
        job.refresh_from_db()
        return job

    def reserved(self, job: Job | None = None) -> Job:
        """With all that is computed together with it."""
        job = self.dispatched(job)
        for each in waiting.together(job):
            for slug in NODES:
                self.answer(each, slug, self.acceptance(each, slug))
        job.refresh_from_db()
        return job

    def computing(self, job: Job | None = None) -> Job:
        job = self.reserved(job)
        dispatch.push(job=job)
        job.refresh_from_db()
        return job

    def recorded(self, job: Job | None = None) -> Job:
        job = self.computing(job)
        for slug in NODES:
            job = self.result(job, slug)
        return job

    def tasks(self, task: str) -> list[tuple[str, ...]]:
        """(arguments, institution) of what was sent under this name."""
        return [tuple(sent) for name, *sent in self.sent if name == task]
