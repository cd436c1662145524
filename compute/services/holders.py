"""Who holds what was disclosed of a person, according to the log, and that they are told of an erasure (GDPR Art. 19).

Counted are dossiers that were read, in any form, in a legal matter or by a role, and records packages that were handed
out: those go to the institution whose keys open them, which passes the notice on to whoever it, or an operator for it,
gave them, as it does with what it produced in a matter. Nodes saw a signed request while they computed; what they keep
of it is a digest.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID, uuid4

from compute import disclosures
from compute.models import ErasureNotice
from concordat import clock
from concordat.events import Event
from governance import matters
from governance.models import Institution, Membership
from governance.notices import Notice
from governance.permissions import HOLDERS, Verb
from governance.services import notifications
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.services.record import record

_TOLD = (*HOLDERS[Verb.READ_DOSSIER], Membership.Role.INSTITUTION_ADMIN)
_NAMED = 5


def of_subject(institution: str, subject: UUID) -> dict[Institution, list[str]]:
    """The institutions that were given something of the decisions about one person: the numbers of those decisions."""
    decided = {
        str(entry.public["request"]): entry
        for entry in ledger.about(institution, subject).filter(event=Event.PREDICTION_RECORDED)
    }
    found: dict[Institution, set[str]] = defaultdict(set)
    given = LogEntry.objects.filter(
        event__in=(Event.DOSSIER_READ, Event.RECORD_HANDED_OUT),
        references__name="request",
        references__value__in=decided,
    )
    for entry in given.order_by("index"):
        decision = decided[str(entry.public["request"])]
        for holder in _received(entry, decision):
            found[holder].add(decision.record_number)
    for holder, numbers in matters.read_in_matters({each.record_number: each for each in decided.values()}).items():
        found[holder] |= numbers
    return {holder: sorted(numbers) for holder, numbers in found.items()}


def tell(held: Mapping[Institution, list[str]], destroyed: LogEntry) -> None:
    """Tell each holder once: its systems at their next look, its officers on the site and by mail. The log says so."""
    number = destroyed.record_number
    for holder, records in held.items():
        ErasureNotice.objects.create(
            notice=uuid4(), institution=holder, destroyed=number, records=records, told=clock.now()
        )
        record(
            event=Event.HOLDER_TOLD,
            public={"institution": holder.slug, "destroyed": number},
            private={"records": records},
        )
        named = ", ".join(records[:_NAMED]) + (f" and {len(records) - _NAMED} more" if len(records) > _NAMED else "")
        notifications.tell(
            Notice.SUBJECT_ERASED,
            to=notifications.holders(holder, *_TOLD),
            study=None,
            key=f"{number}/{holder.slug}",
            sentence=f"A person was erased of whom {holder.slug} was given {named}. Destroy your copies, or know "
            "on which ground you keep them (GDPR Articles 17 and 19).",
        )


def _received(entry: LogEntry, decision: LogEntry) -> Collection[Institution]:
    """To whom this entry's dossier or package went; where that is not known any more, who asked for the decision."""
    requester = Institution.objects.filter(slug=decision.public["institution"])
    if entry.event == Event.RECORD_HANDED_OUT:
        return requester
    return disclosures.received(entry, decision) or requester
