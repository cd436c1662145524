"""The log and its anchors, which name nobody, for every member; and the way to a decision's page."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from concordat.canonical import encode
from concordat.clock import rfc3339
from concordat.events import Event
from governance import matters
from governance.admin.base import ScopedReadOnly, user_of
from ledger import selectors, witnesses
from ledger.models import Anchor, LogEntry, TimeStamp


@admin.register(LogEntry)
class LogEntryAdmin(ScopedReadOnly):
    list_display = ("number", "event", "recorded", "status")
    list_display_links = ("number",)
    list_filter = ("event",)
    search_fields = ("references__value",)
    fields = ("number", "event", "recorded", "status", "witnesses", "stamp", "leaf_hash_hex", "said")
    readonly_fields = fields
    ordering = ("-index",)
    change_form_template = "governance/log_entry.html"
    change_list_template = "governance/log_entries.html"

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows

    @admin.display(description="record")
    def number(self, entry: LogEntry) -> str:
        return entry.record_number

    @admin.display(description="recorded (UTC)", ordering="index")
    def recorded(self, entry: LogEntry) -> str:
        return f"{entry.time:%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="status")
    def status(self, entry: LogEntry) -> str:
        return selectors.status(entry.index).value

    @admin.display(description="witnesses")
    def witnesses(self, entry: LogEntry) -> str:
        head = witnesses.best(entry.index)
        return f"{witnesses.witnessed(head)}, under {head.size} entries" if head else "none yet"

    @admin.display(description="time stamp (UTC)")
    def stamp(self, entry: LogEntry) -> str:
        return _time(selectors.stamp_of(entry.index))

    @admin.display(description="leaf hash")
    def leaf_hash_hex(self, entry: LogEntry) -> str:
        return bytes(entry.leaf_hash).hex()

    @admin.display(description="leaf")
    def said(self, entry: LogEntry) -> str:
        return encode(entry.content).decode()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The entry, with a link to its page where it is a decision and the officer reads dossiers."""
        entry = self.get_object(request, object_id)
        offered = entry is not None and _offers_dossier(user_of(request), entry)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "offers_dossier": offered})


@admin.register(Anchor)
class AnchorAdmin(ScopedReadOnly):
    list_display = ("sequence", "entries", "witnesses", "stamp", "state", "block", "where", "reason")
    list_display_links = ("sequence",)
    list_select_related = ("checkpoint__stamp", "transaction")
    fields = (
        "sequence",
        "entries",
        "root",
        "witnesses",
        "cosigned",
        "stamp",
        "state",
        "block",
        "transaction_hash",
        "where",
        "reason",
    )
    readonly_fields = fields
    ordering = ("-sequence",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.prefetch_related("checkpoint__cosignatures")

    @admin.display(description="witnesses")
    def witnesses(self, anchor: Anchor) -> str:
        """How many institutions' nodes have seen this very head: exactly, and how many it takes."""
        return str(witnesses.witnessed(anchor.checkpoint))

    @admin.display(description="cosigned by")
    def cosigned(self, anchor: Anchor) -> str:
        return ", ".join(witnesses.witnessed(anchor.checkpoint).cosigned) or "nobody yet"

    @admin.display(description="time stamp (UTC)")
    def stamp(self, anchor: Anchor) -> str:
        return _time(getattr(anchor.checkpoint, "stamp", None))

    @admin.display(description="entries")
    def entries(self, anchor: Anchor) -> int:
        return anchor.checkpoint.size

    @admin.display(description="root")
    def root(self, anchor: Anchor) -> str:
        return bytes(anchor.checkpoint.root).hex()

    @admin.display(description="state")
    def state(self, anchor: Anchor) -> str:
        return anchor.transaction.state

    @admin.display(description="block")
    def block(self, anchor: Anchor) -> int | None:
        return anchor.transaction.block

    @admin.display(description="transaction")
    def transaction_hash(self, anchor: Anchor) -> str:
        return anchor.transaction.hash

    @admin.display(description="chain")
    def where(self, anchor: Anchor) -> str:
        """A chain that the coordinator runs alone proves order to nobody but its owner, and has to say so."""
        return "self-hosted anchor" if settings.CHAIN_SELF_HOSTED else f"chain {settings.CHAIN_ID}"

    @admin.display(description="reason")
    def reason(self, anchor: Anchor) -> str:
        return anchor.transaction.reason


def _time(stamp: TimeStamp | None) -> str:
    """By when the authority had the head; or that only the operator says so, and why, if a stamp failed."""
    if stamp is not None:
        return f"not later than {rfc3339(stamp.time)} (UTC), by {stamp.authority}"
    failed = selectors.unstamped() if settings.TSA_URL else ""
    return "asserted by the operator" + (f" ({failed})" if failed else "")


def _offers_dossier(user: User, entry: LogEntry) -> bool:
    """Whether to show the link; the service decides again."""
    return entry.event == Event.PREDICTION_RECORDED and matters.may_read_some(user)
