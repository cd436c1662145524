"""A node's part in a job: answer the ticket, hold the one engine for it, compute, seal, and sign for it. Tickets of
one batch are computed together, and nothing that one requester is told says whom the others are.

Tickets that the pinned coordinator did not sign are not answered at all: an answer would let whoever reaches the broker
speak for us. Everything else is answered, by an acceptance or by a refusal with its reason; a refusal that follows an
acceptance says that this node has dropped out.
"""

import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from compute.engine.runner import EngineProcess, EngineResult
from compute.node import authority, testimony
from compute.node.authority import Grant
from compute.node.cohort import Cohort
from compute.node.coordinator import Coordinator
from compute.node.engine_job import engine_job
from compute.node.granting import Claimed, Granting
from compute.node.handing_in import Computed, sign_result, tape_of
from compute.node.home import NodeHome
from compute.node.opened import OpenedNumbers
from compute.node.pool import Pool, terms
from compute.node.progress import Progress
from compute.node.registry import Asked, Registry
from compute.node.replay import ReplayCache, Seen, TicketState
from compute.node.slot import EngineSlot
from compute.node.tapes import Tapes
from compute.node.witness import Witness
from concordat import answers, clock
from concordat.answers import Acceptance
from concordat.canonical import digest
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from concordat.ticket import Ticket, check_together

RESERVATION_SECONDS = 60
COMPUTE_SECONDS = 90

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, repr=False)
class _Granted:
    """A grant, and every node's acceptance of its ticket."""

    grant: Grant
    accepted: Mapping[str, Acceptance]


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
        self._coordinator = coordinator
        chain = registry or Registry(home.settings["rpc"], home.pins.domain)
        self._granting = Granting(home, coordinator, chain, self.replay)
        self._cohort = Cohort(home, self.opened)
        self._now = now
        self._slot = slot or EngineSlot(partial(EngineProcess.start, home.mesh))

    def reserve(self, first: str, *others: str) -> None:
        """Answer tickets that are to be computed together; after acceptances the engine waits, until the reservation
        lapses. All are accepted, or none: one that is refused for its own reason takes the others with it.

        Raises:
            Refused: TICKET_REPLAYED for tickets seen before, whose old answers are then given again;
                COORDINATOR_UNAVAILABLE; what is wrong with a ticket that is not the coordinator's, or not for us.
        """
        received = self._now()
        tickets = {token: authority.read_ticket(token, self.home) for token in (first, *others)}
        batch = tickets[first]["batch"]
        try:
            self.replay.claim(tickets, now=received)
        except Refused:
            each_of(lambda ticket: self._answer_again(ticket, alone=len(tickets) == 1), tickets.values())
            raise
        heard = []

        def tell(answer: tuple[str, str]) -> None:
            self._coordinator.answer(*answer)
            heard.append(answer)

        try:
            each_of(tell, self._decide(tickets, received))
        finally:
            if not heard:
                self._slot.free(batch)  # nobody will start a job whose acceptance was not heard

    def start(self, batch: str) -> None:
        """Compute accepted tickets, once, when every node has accepted each; hand in receipts and sealed outputs.

        A ticket that was taken back, or that may not be computed any more, is kept back alone: this is said before the
        others are computed, and its runs are computed on zeros here, so that theirs are as they would be without it.
        A second call for the same batch does nothing. Raises Refused(COORDINATOR_UNAVAILABLE).
        """
        seats = self.replay.start(batch)
        if not seats:
            log.warning("start.ignored", batch=batch)
            return
        left = [seat for seat in seats if seat.state is TicketState.ACCEPTED]
        try:
            granted, reasons = self._still_granted(left)
            with suppress(Refused):  # the coordinator may know by itself; the others do not wait
                each_of(lambda seat: self._keep_back(seat, reasons[seat.ticket]), _among(left, reasons))
            left = _among(left, granted)
            computed = self._compute(seats, granted) if left else None
        except Exception as error:  # noqa: BLE001  (whatever it is, the others wait for an answer)
            reason = _reason(error)
            each_of(lambda seat: self._keep_back(seat, reason), left)
            return
        finally:
            self._slot.free(batch)  # before the last result is in, since the next tickets may follow it at once
        if computed is not None:
            registry = self._granting.asking()
            each_of(lambda seat: self._hand_in(seat, computed, registry), left)

    def release(self, ticket: str) -> None:
        """Let go of a ticket, whatever is being done with it. What others have asked for goes on. Repeatable."""
        batch = self.replay.let_go(ticket)
        if batch is not None:
            self._slot.free(batch)

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

    def _decide(self, tickets: Mapping[str, Ticket], received: datetime) -> list[tuple[str, str]]:
        """By job, our answers, which are kept."""
        claimed = [Claimed(each["ticket"], each["job"], token, received) for token, each in tickets.items()]
        grants, reasons = self._granting.grants(claimed, self._now())
        try:
            if reasons:
                raise Refused(Reason.COMPANION_REFUSED)
            return self._accept(list(grants.values()))
        except Exception as error:  # noqa: BLE001  (as in `start`)
            others = _reason(error)
            self._slot.free(next(iter(tickets.values()))["batch"])
        return [
            (ticket["job"], self._refuse(ticket, reasons.get(ticket["ticket"], others))) for ticket in tickets.values()
        ]

    def _accept(self, grants: Sequence[Grant]) -> list[tuple[str, str]]:
        first = grants[0]
        batch, ahead = first.ticket["batch"], first.ticket["ahead"]
        if first.plan is not None and len(grants) > 1:
            raise Refused(Reason.CONFLICT, detail="What is about many people is computed by itself.", field="batch")
        self._cohort.check(first, now=self._now())
        check_together([grant.ticket for grant in grants], first.runs)
        if len({grant.request["what_ifs"] for grant in grants}) > 1:
            raise Refused(Reason.CONFLICT, detail="What is computed together has this in common.", field="what_ifs")
        if self._pool.holds(ahead) or self.replay.used(ahead):
            raise Refused(Reason.RANDOMNESS_USED, detail="A batch ahead has a name that was used.")
        now = self._now()
        lapses = min(clock.parse(grant.ticket["expires"]) for grant in grants)
        expires = min(now + timedelta(seconds=RESERVATION_SECONDS), lapses)
        endpoint = self._slot.take(batch, first.role, first.rank, now=now, until=expires)
        dealt = self._pool.claim(batch, terms=_terms(first), ticket=first.ticket["ticket"], now=now, until=expires)
        accepted = []
        for ticket in (grant.ticket for grant in grants):
            answer = answers.accept(
                ticket, node=self.slug, **endpoint, dealt=dealt, expires=expires, key=self.home.keys.identity
            )
            self._keep_acceptance(ticket, answer, alone=len(grants) == 1)
            log.info("ticket.accepted", job=ticket["job"], role=first.role, rank=first.rank)
            accepted.append((ticket["job"], answer))
        return accepted

    def _keep_acceptance(self, ticket: Ticket, answer: str, *, alone: bool) -> None:
        """Raises Refused if the ticket was taken back meanwhile, which is no reason against the others."""
        try:
            self.replay.answered(ticket["ticket"], answer, accepted=True)
        except Refused as refused:
            raise Refused(refused.reason if alone else Reason.COMPANION_REFUSED) from None

    def _refuse(self, ticket: Ticket, reason: Reason) -> str:
        answer = answers.refuse(ticket, node=self.slug, reason=reason, time=self._now(), key=self.home.keys.identity)
        self.replay.answered(ticket["ticket"], answer, accepted=False)
        log.warning("ticket.refused", job=ticket["job"], reason=reason.value)
        return answer

    def _answer_again(self, ticket: Ticket, *, alone: bool) -> None:
        seen = self.replay.seen(ticket["ticket"])
        if seen is None:  # another ticket with a used batch, or for a request that was computed, or beside such a one
            replayed = alone or self.replay.computed(ticket["request"])
            reason = Reason.TICKET_REPLAYED if replayed else Reason.COMPANION_REFUSED
            self._coordinator.answer(ticket["job"], self._refuse(ticket, reason))
        elif seen.answer is not None and seen.job == ticket["job"]:
            self._coordinator.answer(seen.job, seen.answer)

    def _drop_out(self, seen: Seen, reason: Reason) -> None:
        answer = self._refuse(authority.read_ticket(seen.token, self.home), reason)
        self._coordinator.answer(seen.job, answer)

    def _keep_back(self, seen: Seen, reason: Reason) -> None:
        """Nothing will be opened of this ticket; say so, unless it was taken back."""
        self._give_back(seen)
        if not self._taken_back(seen):
            self._drop_out(seen, reason)

    def _give_back(self, seen: Seen) -> None:
        """Count nothing for this ticket. A training counts as soon as it had rows: how many weights are out of range is
        opened before anybody hands in a share."""
        if not self._cohort.taught(seen.ticket):
            self.opened.give_back(seen.ticket)

    def _taken_back(self, seen: Seen) -> bool:
        now = self.replay.seen(seen.ticket)
        return now is not None and now.state is TicketState.ENDED

    # --- computing

    def _still_granted(self, left: Sequence[Seen]) -> tuple[dict[str, _Granted], dict[str, Reason]]:
        """By ticket, what is to be computed, whose numbers are counted now; and why the others are not."""
        grants, reasons = self._granting.grants([_claimed(seat) for seat in left], self._now())
        granted = {}
        for ticket, grant in grants.items():
            try:
                granted[ticket] = _Granted(grant, self._accepted_by_all(grant))
                self._spend(grant)
            except Refused as refused:
                granted.pop(ticket, None)
                reasons[ticket] = refused.reason
        return granted, reasons

    def _compute(self, seats: Sequence[Seen], granted: Mapping[str, _Granted]) -> Computed:
        engines = answers.same_engines([each.accepted for each in granted.values()])
        part, dealt = self._pool.take(seats[0].ticket), all(each["dealt"] for each in engines.values())
        if dealt and part is None:
            raise Refused(Reason.RANDOMNESS_USED, detail="This node no longer has what was dealt for the job.")
        seated = [granted[seat.ticket].grant if seat.ticket in granted else None for seat in seats]
        first = next(iter(granted.values())).grant
        brought = self._cohort.bring(first, now=self._now())
        started = self._now()  # not before: how long reading took would tell how many rows there are
        job = engine_job(seated, engines, part if dealt else None, brought)
        with self._slot.conversation(first.ticket["batch"]) as engine:
            if first.role == "party" and first.rank == 0:
                with Progress(self._coordinator, first.ticket["job"]) as progress:
                    result = engine.run(job, COMPUTE_SECONDS, progress.tell)
            else:
                result = engine.run(job, COMPUTE_SECONDS)
        self._keep_ahead(first, result)
        return Computed(started, self._now(), result)

    def _accepted_by_all(self, grant: Grant) -> Mapping[str, Acceptance]:
        tokens, known = grant.documents["acceptances"], self.home.pins.keyring
        return answers.check_acceptances(tokens, known, grant.ticket, now=self._now())

    def _spend(self, grant: Grant) -> None:
        """Count what will be opened. Raises Refused(BUDGET_SPENT)."""
        self.opened.spend(
            grant.ticket["ticket"],
            definition=grant.ticket["definition"],
            model=grant.ticket["model"],
            requester=grant.request["requester"],
            scalars=grant.scalars,
            budget=grant.budget,
        )

    def _keep_ahead(self, grant: Grant, result: EngineResult) -> None:
        """As far as possible: a batch that is not kept is not used, and this job does not need it."""
        for name, part in zip(grant.ticket["ahead"], result.batches, strict=False):  # none, if they are too large
            try:
                self._pool.keep(name, plain(part), terms=_terms(grant), now=self._now())
            except (sqlite3.Error, Refused) as error:
                log.warning("batch.dropped", job=grant.ticket["job"], error=type(error).__name__)

    def _hand_in(self, seat: Seen, computed: Computed, registry: Asked) -> None:
        """One ticket's receipt and sealed output, unless it was taken back, or authority for it has ended meanwhile."""
        if self._taken_back(seat):
            self._give_back(seat)
            return
        try:
            grant = self._granting.grant([_claimed(seat)], 0, registry, self._now())
            if grant.plan is None:  # the seeds of a computation over many people would lay open their rows
                self._tapes.keep(seat.job, tape_of(grant, computed.result), now=self._now())
            token, sealed = sign_result(grant, computed, node=self.slug, keys=self.home.keys)
        except Exception as error:  # noqa: BLE001  (as in `start`)
            self._keep_back(seat, _reason(error))
            return
        self._coordinator.result(seat.job, token, sealed)
        self.replay.end(seat.ticket)


def _among(seats: Sequence[Seen], tickets: Container[str]) -> list[Seen]:
    return [seat for seat in seats if seat.ticket in tickets]


def _reason(error: Exception) -> Reason:
    """What the coordinator is told: of what nobody foresaw, that there is no result. The log has its type and place."""
    if isinstance(error, Refused):
        return error.reason
    log.error("job.failed", exc_info=error)
    return Reason.ENGINE_FAILED


def _claimed(seat: Seen) -> Claimed:
    return Claimed(seat.ticket, seat.job, seat.token, seat.claimed)


def each_of(call: Callable[[T], None], things: Iterable[T]) -> None:
    """Call it with each, whatever becomes of the others. Raises the first refusal or disk's trouble afterwards."""
    first: Refused | sqlite3.Error | None = None
    for thing in things:
        try:
            call(thing)
        except (Refused, sqlite3.Error) as error:
            first = first or error
    if first is not None:
        raise first


def _terms(grant: Grant) -> str:
    ticket = grant.ticket
    return terms(definition=ticket["definition"], what_ifs=grant.request["what_ifs"], runs=ticket["runs"]["of"])
