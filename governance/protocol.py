"""The protocol document: what boards read and officers sign, by its digest.

It says in words what a definition later says in digests: what is computed, on whose data, and what is opened to whom.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.canonical import Json
from concordat.fields import STRICT, Slug, Text, Time, read
from concordat.reasons import Reason, Refused


@with_config(STRICT)
class Section(TypedDict):
    """A part of the protocol that boards read in full on the study's page, such as risks or withdrawal."""

    heading: Text
    text: Text


@with_config(STRICT)
class Protocol(TypedDict):
    """One version of a study's protocol. `sites` are all the institutions whose data, model or node take part, or that
    ask for predictions; `institution` leads the study and is one of them."""

    v: Literal[1]
    study: Slug
    title: Text
    institution: Slug
    summary: Text
    computed: Text
    opened: Text
    sections: Annotated[list[Section], Field(min_length=1)]
    requesters: Annotated[list[Slug], Field(min_length=1)]
    purposes: Annotated[list[Slug], Field(min_length=1)]
    sites: Annotated[list[Slug], Field(min_length=1)]
    valid_until: Time


def check(document: Mapping[str, Json]) -> Protocol:
    """A protocol whose every field is of its form, and whose institutions are among its sites.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
    """
    protocol = read(document, Protocol)
    if len(set(protocol["sites"])) != len(protocol["sites"]):
        raise Refused(Reason.FIELD_INVALID, detail="A site is named twice.", field="sites")
    if protocol["institution"] not in protocol["sites"]:
        raise Refused(Reason.FIELD_INVALID, detail="The leading institution is a site.", field="institution")
    if not set(protocol["requesters"]) <= set(protocol["sites"]):
        raise Refused(Reason.FIELD_INVALID, detail="A requester is a site.", field="requesters")
    return protocol
