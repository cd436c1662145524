"""The log and its proofs. Nothing in it is about a person, so every institution may read all of it."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import RECORD, SLUG, WHOLE
from api.scopes import Scope
from api.views.base import PAGE, Resource, Shape, check_parameters, number, paged
from concordat import clock, record_number
from concordat.canonical import b64
from concordat.events import EVENTS, Event
from concordat.reasons import Reason, Refused
from ledger import search, selectors, witnesses
from ledger.models import LogEntry

_ASKED = {
    "record": "A record number, such as C-0000042-3.",
    "study": "The short name of a study.",
    "institution": "The short name of an institution.",
    "event": "The name of an event, such as study.approved.",
    "since": "A day (2026-01-31) or time (2026-01-31T12:00:00Z), UTC: not recorded before.",
    "until": "A day, which counts as a whole, or a time before which it was recorded, UTC.",
}
_FORMS: dict[str, Any] = {
    **{name: form | {"pattern": f"^$|{form['pattern']}"} for name, form in (("record", RECORD), ("study", SLUG))},
    "event": {"type": "string", "enum": ["", *Event]},
}
_FORMS["institution"] = _FORMS["study"]
SEARCHED = [
    *(OpenApiParameter(name, _FORMS.get(name, str), description=said) for name, said in _ASKED.items()),
    OpenApiParameter("after", RECORD, description="Go on behind this record."),
]


class CheckpointAnswer(Shape):
    size = serializers.IntegerField(help_text="How many entries the head covers.")
    note = serializers.CharField(help_text="The signed head of the log with its cosignatures (C2SP tlog-checkpoint).")
    time = serializers.CharField(help_text="When the head was signed (RFC 3339, UTC).")
    cosigned = serializers.ListField(child=serializers.CharField(), help_text="The witnesses that have cosigned it.")
    witnesses = serializers.ListField(child=serializers.CharField(), help_text="All witnesses of this head.")
    needed = serializers.IntegerField(help_text="How many cosignatures are enough.")


class EntryAnswer(Shape):
    index = serializers.IntegerField(help_text="The entry's place in the log, from 0.")
    record = serializers.CharField(help_text="The number under which people know the entry.")
    leaf = serializers.CharField(help_text="The exact bytes that were hashed into the log (base64url).")
    status = serializers.CharField(help_text="logged, published, queued, sent, mined or final.")


class FoundEntryAnswer(Shape):
    record = serializers.CharField(help_text="The number under which people know the entry.")
    index = serializers.IntegerField(help_text="The entry's place in the log, from 0.")
    time = serializers.CharField(help_text="When it was recorded, UTC.")
    event = serializers.CharField(help_text="The event's name; docs/reference/events.md describes it.")
    description = serializers.CharField(help_text="The event in words.")
    study = serializers.CharField(help_text="Its short name, or empty.")
    institution = serializers.CharField(help_text="Its short name, or empty.")
    status = serializers.CharField(help_text="logged, published, queued, sent, mined or final.")
    decision = serializers.CharField(help_text="The record number of the decision that it is about, or empty.")


class ProofAnswer(Shape):
    proof = serializers.ListField(child=serializers.CharField(), help_text="RFC 9162 hashes (base64url).")


class Checkpoint(Resource):
    """The latest signed head of the log."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(responses=CheckpointAnswer)
    def get(self, request: Request) -> Response:
        latest = selectors.published_head()
        found = witnesses.witnessed(latest)
        return Response(
            {
                "size": latest.size,
                "note": witnesses.note(latest),
                "time": clock.rfc3339(latest.time),
                "cosigned": found.cosigned,
                "witnesses": found.of,
                "needed": found.needed,
            }
        )


class Entry(Resource):
    """One entry, and how far it has come on its way to the chain."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(responses=EntryAnswer)
    def get(self, request: Request, index: int) -> Response:
        entry = selectors.entry(index)
        return Response(
            {
                "index": entry.index,
                "record": entry.record_number,
                "leaf": b64(bytes(entry.leaf)),
                "status": selectors.status(index),
            }
        )


class Entries(Resource):
    """The entries of which all that is asked for is true, the latest first. A page may hold few or none and still say
    where the list goes on: a search looks back only so far at once."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(operation_id="ledger_entries_list", parameters=SEARCHED, responses=paged(FoundEntryAnswer))
    def get(self, request: Request) -> Response:
        check_parameters(request, {"after", *search.FIELDS})
        asked = {name: request.query_params[name] for name in search.FIELDS if name in request.query_params}
        for name, value in asked.items():
            if value != value.strip():  # which a person's search forgives
                raise Refused(Reason.FIELD_INVALID, detail="There is white space around it.", field=name)
        after = request.query_params.get("after")
        behind = search.parse_record(after, "after") if after is not None else None
        found = search.search(wanted=search.read(asked), before=behind, most=PAGE)
        link = ""
        if found.further is not None:
            link = f"{request.path}?{urlencode(asked | {'after': record_number.format(found.further)})}"
        return Response({"items": _shown(found.entries), "next": link})


def _shown(entries: list[LogEntry]) -> list[dict[str, Any]]:
    states = selectors.statuses([entry.index for entry in entries])
    decided = search.decisions(entries)
    return [
        {
            "record": entry.record_number,
            "index": entry.index,
            "time": clock.rfc3339(entry.time),
            "event": entry.event,
            "description": EVENTS[Event(entry.event)].description,
            "study": str(entry.public.get("study", "")),
            "institution": str(entry.public.get("institution", "")),
            "status": states[entry.index],
            "decision": decided[entry.index].record_number if entry.index in decided else "",
        }
        for entry in entries
    ]


class Inclusion(Resource):
    """The proof that an entry is in the tree of a size."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(
        parameters=[OpenApiParameter("index", WHOLE, required=True), OpenApiParameter("size", WHOLE, required=True)],
        responses=ProofAnswer,
    )
    def get(self, request: Request) -> Response:
        return _proof(selectors.inclusion(number(request, "index"), number(request, "size")))


class Consistency(Resource):
    """The proof that the tree of one size begins with the tree of a smaller one."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(
        parameters=[OpenApiParameter("first", WHOLE, required=True), OpenApiParameter("second", WHOLE, required=True)],
        responses=ProofAnswer,
    )
    def get(self, request: Request) -> Response:
        return _proof(selectors.consistency(number(request, "first"), number(request, "second")))


def _proof(hashes: list[bytes]) -> Response:
    return Response({"proof": [b64(each) for each in hashes]})
