"""A node's part in a job: answer the ticket, hold the one engine for it, compute, seal, and sign for it.

Tickets that the pinned coordinator did not sign are not answered at all: an answer would let whoever reaches the broker
speak for us. Everything else is answered, by an acceptance or by a refusal with its reason; a refusal that follows an
acceptance says that this node has dropped out.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog

from compute.engine.runner import EngineProcess, EngineResult
from compute.node import authority, testimony
from compute.node.authority import Grant
from compute.node.coordinator import Coordinator, JobDocuments
from compute.node.engine_job import engine_job
from compute.node.home import NodeHome
from compute.node.opened import OpenedNumbers
from compute.node.pool import Pool, terms
from compute.node.registry import Registry
from compute.node.replay import ReplayCache, Seen
from compute.node.seen_rosters import SeenRosters
from compute.node.seen_votes import SeenVotes
from compute.node.slot import EngineSlot
from compute.node.tapes import JobTape, Tapes
from compute.node.witness import Witness
from concordat import answers, clock, outputs, receipt
from concordat.canonical import digest, unb64
from concordat.definition import nodes
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from concordat.ticket import Ticket

RESERVATION_SECONDS = 60
COMPUTE_SECONDS = 90

WATTS = Decimal(15)
"""What a busy processor core and its share of the machine are taken to draw: stated, not measured."""

log = structlog.get_logger()


class Node:
    """One institution's node. Safe for several threads."""

    def __init__(
        self,
        home: NodeHome,
        coordinator: Coordinator,
        *,
        registry: Registry | None = None,
        now: Callable[[], datetime] = clock.now,
        slot: EngineSlot | None = None,
    ) -> None:
        self.home = home
        self.slug = home.institution
        self.replay = ReplayCache(home.state)
        self.opened = OpenedNumbers(home.state)
        self._tapes, self._pool = Tapes(home.state), Pool(home.state)
        self._witness = Witness(home, coordinator, now=now)
        self._seen_votes, self._seen_rosters = SeenVotes(home.state), SeenRosters(home.state)
        self._coordinator = coordinator
        self._registry = registry or Registry(home.settings["rpc"], home.pins.domain)
        self._now = now
        self._slot = slot or EngineSlot(partial(EngineProcess.start, home.mesh))

    def reserve(self, token: str) -> None:
        """Answer a ticket; after an acceptance the engine waits, until the reservation lapses.

        Raises:
            Refused: TICKET_REPLAYED for a ticket seen before, whose old answer is then given again;
                COORDINATOR_UNAVAILABLE; what is wrong with a ticket that is not the coordinator's, or not for us.
        """
        received = self._now()
        ticket = authority.read_ticket(token, self.home)
        try:
            self.replay.claim(
                ticket=ticket["ticket"],
                batch=ticket["batch"],
                job=ticket["job"],
                request=ticket["request"],
                token=token,
                now=received,
            )
        except Refused:
            self._answer_again(ticket)
            raise
        try:
            answer = self._accept(token, ticket, received)
        except Refused as refused:
            self._slot.free(ticket["ticket"])
            answer = self._refuse(ticket, refused.reason)
        try:
            self._coordinator.answer(ticket["job"], answer)
        except Refused:
            self._slot.free(ticket["ticket"])  # nobody will start a job whose acceptance was not heard
            raise

    def start(self, job: str) -> None:
        """Compute an accepted job, once, when every node has accepted; hand in the receipt and the sealed output.

        A second call for the same job does nothing. Raises Refused(COORDINATOR_UNAVAILABLE).
        """
        seen = self.replay.start(job)
        if seen is None:
            log.warning("start.ignored", job=job)
            return
        try:
            token, sealed = self._compute(seen)
        except Refused as refused:
            self.opened.give_back(seen.ticket)
            self._drop_out(seen, refused.reason)
        else:
            self._coordinator.result(job, token, sealed)
            self.replay.end(seen.ticket)
        finally:
            self._slot.free(seen.ticket)

    def release(self, job: str) -> None:
        """Let go of a job, whatever it is doing. Repeatable."""
        self._slot.release(job)

    def testify(self, job: str) -> None:
        """Answer an alarm about a job: lay open to the model's owner what was used for the canary that it names.

        The testimony takes the tape's place first: of no job are the seeds of two records given away, and what was lost
        on the way is sent again. Raises Refused: TAPE_MISSING; what `testimony.testify` refuses;
        COORDINATOR_UNAVAILABLE.
        """
        documents = self._coordinator.alarm(job)
        about = digest(documents["alarm"].encode())
        token = self._tapes.testified(job, about)
        if token is None:
            now = self._now()
            token = testimony.testify(documents, self._tapes.of(job, now=now), home=self.home, now=now)
            self._tapes.testify(job, about, token)
        self._coordinator.testimony(job, token)
        log.warning("alarm.answered", job=job)

    def witness(self, _: str = "") -> None:
        """Cosign the log's latest head, whichever it is by now. Repeatable. Raises Refused as `Witness.cosign` does."""
        self._witness.cosign()

    def forget_old_seeds(self) -> None:
        """Destroy the tapes, and what was dealt ahead, whose day is over. Repeatable."""
        self._tapes.purge(now=self._now())
        self._pool.purge(now=self._now())

    def recover(self) -> None:
        """After a restart: engines are gone, so everything that had not ended is refused now. Call before any task."""
        self._pool.forget_claimed()
        for seen in self.replay.unfinished():
            with suppress(Refused):  # the coordinator's own time-out tells it, too
                self._drop_out(seen, Reason.ENGINE_FAILED)

    def warm(self) -> None:
        """Have an engine waiting for the next ticket, from now on."""
        self._slot.warm()

    @property
    def busy(self) -> bool:
        """Whether the one engine is taken."""
        return self._slot.taken

    def close(self) -> None:
        """Leave no engine behind."""
        self._slot.close()

    # --- answering

    def _accept(self, token: str, ticket: Ticket, received: datetime) -> str:
        documents = self._coordinator.job(ticket["job"])
        grant = self._check(token, documents, received, ticket["ticket"])
        now = self._now()
        expires = min(now + timedelta(seconds=RESERVATION_SECONDS), clock.parse(ticket["expires"]))
        endpoint = self._slot.take(ticket, grant.role, grant.rank, now=now, until=expires)
        dealt = self._pool.claim(ticket["batch"], terms=_terms(grant), ticket=ticket["ticket"], now=now, until=expires)
        answer = answers.accept(
            ticket, node=self.slug, **endpoint, dealt=dealt, expires=expires, key=self.home.keys.identity
        )
        self.replay.answered(ticket["ticket"], answer, accepted=True)
        log.info("ticket.accepted", job=ticket["job"], role=grant.role, rank=grant.rank)
        return answer

    def _refuse(self, ticket: Ticket, reason: Reason) -> str:
        answer = answers.refuse(ticket, node=self.slug, reason=reason, time=self._now(), key=self.home.keys.identity)
        self.replay.answered(ticket["ticket"], answer, accepted=False)
        log.warning("ticket.refused", job=ticket["job"], reason=reason.value)
        return answer

    def _answer_again(self, ticket: Ticket) -> None:
        seen = self.replay.seen(ticket["ticket"])
        if seen is None:  # another ticket with a used batch, or for a request that was computed
            self._coordinator.answer(ticket["job"], self._refuse(ticket, Reason.TICKET_REPLAYED))
        elif seen.answer is not None and seen.job == ticket["job"]:
            self._coordinator.answer(seen.job, seen.answer)

    def _drop_out(self, seen: Seen, reason: Reason) -> None:
        answer = self._refuse(authority.read_ticket(seen.token, self.home), reason)
        self._coordinator.answer(seen.job, answer)

    def _check(self, token: str, documents: JobDocuments, received: datetime, ticket: str) -> Grant:
        now = self._now()
        return authority.check(
            token,
            documents,
            home=self.home,
            registry=self._registry,
            seen=self._seen_votes,
            rosters=self._seen_rosters,
            received=received,
            now=now,
            jobs_today=self.replay.accepted_on(now, besides=ticket),
        )

    # --- computing

    def _compute(self, seen: Seen) -> tuple[str, str | None]:
        documents = self._coordinator.job(seen.job)
        grant = self._check(seen.token, documents, seen.claimed, seen.ticket)
        accepted = answers.check_acceptances(
            documents["acceptances"], self.home.pins.keyring, grant.ticket, now=self._now()
        )
        self.opened.spend(
            seen.ticket,
            definition=grant.ticket["definition"],
            model=grant.ticket["model"],
            requester=grant.request["requester"],
            scalars=grant.scalars,
            budget=grant.budget,
        )
        started = self._now()
        batch, dealt = self._pool.take(seen.ticket), all(each["dealt"] for each in accepted.values())
        if dealt and batch is None:
            raise Refused(Reason.RANDOMNESS_USED, detail="This node no longer has what was dealt for the job.")
        with self._slot.conversation(seen.ticket) as engine:
            result = engine.run(engine_job(grant, documents, accepted, batch if dealt else None), COMPUTE_SECONDS)
        self._check(seen.token, documents, seen.claimed, seen.ticket)
        self._tapes.keep(grant.ticket["job"], _tape(grant, result), now=self._now())
        for name, part in zip(grant.ticket["ahead"], result.batches, strict=False):  # none, if they are too large
            self._pool.keep(name, plain(part), terms=_terms(grant), now=self._now())
        return self._sign(grant, result, started)

    def _sign(self, grant: Grant, result: EngineResult, started: datetime) -> tuple[str, str | None]:
        committed, sealed = None, None
        if result.outputs:
            committed, sealed = outputs.seal_outputs(
                job=grant.ticket["job"],
                node=self.slug,
                records=[(unb64(each["prediction"]), unb64(each["explanation"])) for each in result.outputs],
                output_key=grant.request["output_key"],
            )
        cpu_seconds = Decimal(result.cpu_seconds)
        token = receipt.write(
            grant.ticket,
            node=self.slug,
            rounds=result.rounds,
            bytes_sent=result.bytes_sent,
            cpu_seconds=cpu_seconds,
            energy_joules=cpu_seconds * WATTS,
            transcripts={
                nodes(grant.ticket)[each["peer"]]: {
                    "sent": digest(unb64(each["sent"])),
                    "received": digest(unb64(each["received"])),
                }
                for each in result.conversations
            },
            outputs=committed,
            started=started,
            finished=self._now(),
            key=self.home.keys.identity,
        )
        log.info("job.computed", job=grant.ticket["job"], rounds=result.rounds, bytes_sent=result.bytes_sent)
        return token, sealed


def _terms(grant: Grant) -> str:
    return terms(definition=grant.ticket["definition"], what_ifs=grant.request["what_ifs"])


def _tape(grant: Grant, result: EngineResult) -> JobTape:
    return {
        "model": grant.ticket["model"],
        "request": grant.ticket["request"],
        "name": grant.request["request"],
        "requester": grant.request["requester"],
        "commitments": grant.request["commitments"],
        "seeds": list(result.seeds),
        "conversations": list(result.conversations),
    }
