"""A data steward's answer where the terms of an institution's data leave it to a person whether a study uses them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Digest, Slug, Text, read


@with_config(STRICT)
class DataUseDecision(TypedDict):
    """The document. `base` is the protocol version that it is about, with what came after it as minor amendments;
    `terms` are the codes of the data, `uses` those that the study declares. `reason` stands in the log in the clear, so
    it names no person."""

    v: Literal[1]
    study: Slug
    institution: Slug
    base: Digest
    terms: list[str]
    uses: list[str]
    allowed: bool
    reason: Text


def check(document: Mapping[str, Any]) -> DataUseDecision:
    """Raises Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field."""
    return read(document, DataUseDecision)
