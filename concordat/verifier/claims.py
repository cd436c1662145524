"""What a dossier proves and what it does not, in exact words: a pure function from the verifier's answer to sentences.

Whoever reads "verified" believes more than was verified. So every form of the dossier says whose word each thing is.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def claims(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of a term and what it means here, for a dossier that holds."""
    story, checks = answer["story"], answer["checks"]
    chain, anchors = story["trust"]["chain"], story["trust"]["anchors"]
    if not anchors:
        yield "No anchor", "No head of the log that covers this decision is on a chain yet: nothing outside shows it."
    if chain["self_hosted"]:
        yield (
            "Self-hosted anchor",
            f"The coordinator runs the chain {chain['id']} alone, so an anchor there proves the order of events to "
            "nobody but its owner.",
        )
    elif anchors:
        yield (
            "Anchor",
            f"The chain {chain['id']} is not run by the coordinator alone. It shows the order of events to whoever "
            "trusts that chain.",
        )
    yield _time(story["trust"]["time"])
    if attested := _names(checks, "attested, not verified"):
        yield "Attested, not verified", f"An officer's word stands for it, and no signature does: {attested}."
    if unchecked := _names(checks, "not checkable"):
        yield "Not checkable", f"What is missing proves nothing either way: {unchecked}."
    yield "Computed by several", _protocol(story["computed"])
    if story["result"] is None:
        yield "The result is not here", "Only the requester can open it; the nodes' commitments bind it all the same."
    yield (
        "Names",
        "A printed name stands in the roster that the officer's institution signed. That the person is who they say "
        "is for the institution to know.",
    )


def _time(stamp: Mapping[str, Any] | None) -> tuple[str, str]:
    asserted = "Every time here is what the coordinator or the signer wrote."
    if stamp is None:
        return (
            "Time asserted by the operator",
            f"{asserted} No time-stamping authority confirms it; what the log proves is the order.",
        )
    by_when = f"a head that covers this decision ({stamp['size']} entries) existed not later than {stamp['latest']}"
    if not stamp["attested"]:
        return (
            "Time asserted by the operator",
            f"{asserted} A time stamp in the name of “{stamp['authority']}” says that {by_when}; it was not checked, "
            "as nobody gave that authority's root certificate (--tsa).",
        )
    return (
        f"Time attested by the authority “{stamp['authority']}”",
        f"By its clock {by_when}. How long before, and every single time here, the operator or the signer asserts.",
    )


def _names(checks: list[Mapping[str, Any]], status: str) -> str:
    return ", ".join(check["name"] for check in checks if check["status"] == status)


def _protocol(computed: Mapping[str, Any]) -> str:
    canaries = computed["canaries"]
    # Who knows the canaries' results can spare them.
    owners = any(node["node"] == computed["owner"] and node["role"] == "party" for node in computed["nodes"])
    but = f", unless it was that of the model's owner, {computed['owner']}, which knows them" if owners else ""
    noticed = (
        f"{canaries} record{'s' if canaries > 1 else ''} with known results went with the person's, so a node that "
        f"changed one record's result was noticed {canaries} time{'s' if canaries > 1 else ''} in {canaries + 1}{but}"
        if canaries
        else "no record with a known result went with the person's, so a node that changed the result was not noticed"
    )
    return (
        "The protocol keeps the record and the model secret from nodes that follow it (semi-honest privacy), unless "
        "all computing nodes collude, or one of them and the dealer. For correctness it is covert: "
        f"{noticed}. The nodes' receipts say that they agree, and not that each computed rightly."
    )
