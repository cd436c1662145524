"""The log and its anchors in the admin site: to be read, never changed."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from concordat.canonical import encode
from ledger import selectors
from ledger.models import Anchor, LogEntry


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic to the type checker only
    """Nobody adds, changes or deletes here, whatever rights they hold."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    list_display = ("number", "event", "time", "status")
    list_filter = ("event",)
    search_fields = ("references__value",)
    fields = ("number", "event", "time", "status", "leaf_hash_hex", "said")
    readonly_fields = fields
    ordering = ("-index",)

    @admin.display(description="record")
    def number(self, entry: LogEntry) -> str:
        return entry.record_number

    @admin.display(description="status")
    def status(self, entry: LogEntry) -> str:
        return selectors.status(entry.index).value

    @admin.display(description="leaf hash")
    def leaf_hash_hex(self, entry: LogEntry) -> str:
        return bytes(entry.leaf_hash).hex()

    @admin.display(description="leaf")
    def said(self, entry: LogEntry) -> str:
        return encode(entry.content).decode()


@admin.register(Anchor)
class AnchorAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "entries", "state", "block", "where", "reason")
    list_select_related = ("checkpoint", "transaction")
    fields = ("sequence", "entries", "root", "state", "block", "transaction_hash", "where", "reason")
    readonly_fields = fields
    ordering = ("-sequence",)

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
