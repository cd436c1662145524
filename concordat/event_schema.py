"""The JSON Schema of the log's entries, one for each event, with the version of an entry in it.

What an entry says in the open has the same form under the same name whatever the event, so that whoever searches a log
needs to know a name once. `docs/reference/events.schema.json` is generated from here.
"""

from collections.abc import Mapping
from typing import Any

from concordat.events import EVENTS, LEAF_VERSION, Event

Schema = dict[str, Any]

_SLUG: Schema = {"type": "string", "pattern": "^([a-z0-9]+(-[a-z0-9]+)*)?$"}
_UUID: Schema = {"type": "string", "pattern": "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"}
_DIGEST: Schema = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
_TIME: Schema = {"type": "string", "pattern": r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$"}
_NUMBER: Schema = {"type": "string", "pattern": "^C-[0-9]{7,}-[0-9X]$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ADDRESS: Schema = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
_FLAG: Schema = {"type": "boolean"}
_WORDS: Schema = {"type": "string"}
_SLUGS: Schema = {"type": "array", "items": _SLUG}
_ALL_WORDS: Schema = {"type": "array", "items": _WORDS}

PUBLIC: Mapping[str, Schema] = {
    **dict.fromkeys(("institution", "board", "relying", "study"), _SLUG),
    **dict.fromkeys(("boards", "parties", "requesters"), _SLUGS),
    **dict.fromkeys(("definition", "model", "design", "base", "attachment", "package", "minutes"), _DIGEST),
    **dict.fromkeys(("agreement", "consent", "delegation", "incident", "job", "matter", "meeting"), _UUID),
    **dict.fromkeys(("request", "rule", "submission"), _UUID),
    **dict.fromkeys(("at", "discovered", "due", "expires", "expired", "until"), _TIME),
    **dict.fromkeys(("abstain", "against", "for", "recused", "present", "needed", "days", "bytes", "rounds"), _COUNT),
    **dict.fromkeys(("chain", "epoch", "prediction", "sequence", "version"), _COUNT),
    **dict.fromkeys(("log", "predecessor", "registry"), _ADDRESS),
    **dict.fromkeys(("allowed", "approve", "authorised", "late", "scientist"), _FLAG),
    **dict.fromkeys(("reasons", "departures"), _ALL_WORDS),
    **dict.fromkeys(
        ("category", "determination", "examination", "exemption", "form", "ground", "kind", "law", "method"), _WORDS
    ),
    **dict.fromkeys(("outcome", "page", "path", "reason", "role", "scope", "seat", "stage", "state", "status"), _WORDS),
    **dict.fromkeys(("alternate_for", "classification", "escrow_key", "key", "records_key", "step", "target"), _WORDS),
    "destroyed": _NUMBER,
    "jurisdiction": {"type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$"},
}
"""What stands in the open, by its name. Where there may be nothing, text is empty."""

_COMMITMENT: Schema = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def of(event: Event) -> Schema:
    """The schema of one event's entries."""
    info = EVENTS[event]
    return {
        "title": event.value,
        "description": info.description,
        "type": "object",
        "properties": {
            "v": {"const": LEAF_VERSION},
            "event": {"const": event.value},
            "id": {"type": "string", "pattern": _UUID["pattern"].replace("^(", "^").replace(")?$", "$")},
            "time": {"type": "string", "pattern": _TIME["pattern"].replace("^(", "^").replace(")?$", "$")},
            "public": _object({name: PUBLIC[name] for name in info.public}),
            "documents": _object(dict.fromkeys(info.documents, _COMMITMENT)),
            "commitments": _object(dict.fromkeys(info.private, _COMMITMENT)),
        },
        "required": ["v", "event", "id", "time", "public", "documents", "commitments"],
        "additionalProperties": False,
    }


def schema() -> Schema:
    """The schema of any entry: of the event that it names, and of no other."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"An entry of the log, version {LEAF_VERSION}",
        "description": "Canonical JSON (RFC 8785). Documents are named by their digest; commitments are salted.",
        "oneOf": [{"$ref": f"#/$defs/{event.value}"} for event in Event],
        "$defs": {event.value: of(event) for event in Event},
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}
