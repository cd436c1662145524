"""Officers with passkeys in software, the rosters that list them, and everything they sign about one protocol."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from concordat import clock, passkeys
from concordat.canonical import Json, digest
from concordat.enrolment import build_roster
from concordat.findings import needed
from concordat.passkeys import SoftwarePasskey
from concordat.signatures import SigningKey

ROLES = ("irb-chair", "irb-member", "irb-administrator", "institution-admin", "investigator")
ORIGIN = "http://localhost:8000"


def new_protocol(
    *, study: str, institution: str, sites: list[str], requesters: list[str], purposes: list[str], **changes: Any
) -> dict[str, Any]:
    """A protocol that rests on consent."""
    bases = [
        {"institution": site, "purpose": purpose, "ground": "consent", "gdpr": None, "note": "Written consent."}
        for site in requesters
        for purpose in purposes
    ]
    return {
        "v": 2,
        "study": study,
        "title": "Chest pain, explained",
        "institution": institution,
        "contact": "The study's office.",
        "summary": "A feasibility study.",
        "computed": "The probability of coronary disease, and its explanation.",
        "opened": "Prediction and coefficients, to the requester alone.",
        "risks": {"minimal": True, "reidentification": "Low.", "misuse": "Low."},
        "data_use": {"study": ["DUO:0000007"], "datasets": []},
        "population": ["adults"],
        "sections": [{"heading": "Procedures", "text": "No examination is added."}],
        "requesters": requesters,
        "purposes": purposes,
        "bases": bases,
        "attachments": [],
        "sites": sites,
        "review_months": 12,
        "valid_until": clock.rfc3339(clock.now() + timedelta(days=400)),
    } | changes


@dataclass
class Boards:
    """Officers of institutions with these offline keys. `relies` says which site relies on which board."""

    offline: Mapping[str, SigningKey]
    protocol: dict[str, Any]
    relies: Mapping[str, str] = field(default_factory=dict)
    origin: str = ORIGIN
    passkeys: dict[tuple[str, str], SoftwarePasskey] = field(default_factory=dict)

    @property
    def study(self) -> str:
        return str(self.protocol["study"])

    @property
    def base(self) -> str:
        return digest(self.protocol)

    @property
    def names(self) -> list[str]:
        """The institutions whose boards decide."""
        return [site for site in self.protocol["sites"] if site not in self.relies]

    def passkey(self, slug: str, role: str) -> SoftwarePasskey:
        return self.passkeys.setdefault((slug, role), SoftwarePasskey.create("localhost", self.origin))

    def roster(
        self,
        slug: str,
        *,
        version: int = 1,
        issued: datetime | None = None,
        roles: tuple[str, ...] = ROLES,
        key: SigningKey | None = None,
    ) -> str:
        """The signed roster that lists one officer for each of these roles."""
        officers: Any = [
            {
                "officer": f"{slug}-{role}",
                "name": f"The {role} of {slug}",
                "role": role,
                "credential": self.passkey(slug, role).credential,
                "key": self.passkey(slug, role).key,
            }
            for role in roles
        ]
        key, issued = key or self.offline[slug], issued or clock.now()
        return build_roster(key, institution=slug, version=version, officers=officers, issued=issued)

    def sign(
        self,
        document: Mapping[str, Json],
        slug: str,
        role: str = "irb-chair",
        /,
        *,
        kind: str,
        meaning: str,
        time: datetime | None = None,
        key: SoftwarePasskey | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """What the officer signs; with the method “totp” nobody but the coordinator saw it."""
        statement = {
            "record": digest(document),
            "record_kind": kind,
            "meaning": meaning,
            "signer": f"{slug}-{role}",
            "name": f"The {role} of {slug}",
            "role": role,
            "institution": slug,
            "study": document.get("study", ""),
            "state": "under-review",
            "method": "passkey",
            "nonce": str(uuid.uuid4()),
            "time": clock.rfc3339(time or clock.now()),
        } | changes
        passkey = key or self.passkey(slug, role)
        signed = statement["method"] == "passkey"
        return {
            "statement": statement,
            "assertion": dict(passkey.assertion(passkeys.challenge(statement))) if signed else None,
        }

    # --- documents, unsigned

    def determination(self, board: str, /, **changes: Any) -> dict[str, Any]:
        """The full board's approval, with every finding made; what `changes` says is otherwise."""
        path = changes.get("path", "full-board")
        outcome = changes.get("outcome", "approved")
        passes = outcome in ("approved", "approved-with-conditions")
        sites = changes.get("sites", [site for site in self.protocol["sites"] if self.relies.get(site, site) == board])
        waiver = any(basis["ground"] == "waiver" for basis in self.protocol["bases"])
        return {
            "v": 1,
            "study": self.study,
            "board": board,
            "sites": sites,
            "submission": str(uuid.uuid4()),
            "kind": "initial",
            "protocol": self.base,
            "base": self.base,
            "path": path,
            "category": {"expedited": "5", "exempt": "4iii"}.get(path, ""),
            "outcome": outcome,
            "findings": {name: {"answer": "met", "note": ""} for name in needed(path, waiver=waiver)},
            "conditions": ["Add a phone number."] if outcome == "approved-with-conditions" else [],
            "reasons": "" if passes else "The board has a question.",
            "expires": clock.rfc3339(clock.now() + timedelta(days=300)) if passes else "",
            "reliance": {site: digest(self.agreement(site)) for site in sites if site != board},
            "delegation": "",
            "minutes": digest(b"minutes") if path == "full-board" else "",
            "scan": digest(b"scan") if path == "paper" else "",
        } | changes

    def agreement(self, site: str, /, **changes: Any) -> dict[str, Any]:
        """The same each time, so that its digest can be named before it is signed."""
        return {
            "v": 1,
            "agreement": str(uuid.uuid5(uuid.NAMESPACE_URL, site)),
            "relying": site,
            "reviewing": self.relies[site],
            "study": self.study,
            "responsibilities": "The reviewing board reviews; the relying site reports to it.",
            "starts": "2020-01-01T00:00:00Z",
            "ends": "2100-01-01T00:00:00Z",
        } | changes

    def context(self, site: str, /, **changes: Any) -> dict[str, Any]:
        return {
            "v": 1,
            "study": self.study,
            "site": site,
            "board": self.relies[site],
            "base": self.base,
            "law": "The law of the state.",
            "population": "Veterans.",
            "resources": "A cardiology ward.",
            "contact": "The site's office.",
        } | changes

    def delegation(self, board: str, /, **changes: Any) -> dict[str, Any]:
        now = clock.now()
        return {
            "v": 1,
            "delegation": str(uuid.uuid4()),
            "board": board,
            "study": "",
            "scope": "expedited-review",
            "delegate": f"{board}-irb-member",
            "starts": clock.rfc3339(now - timedelta(days=1)),
            "ends": clock.rfc3339(now + timedelta(days=300)),
        } | changes

    def conditions(self, determination: Mapping[str, Any], /, **changes: Any) -> dict[str, Any]:
        return {
            "v": 1,
            "study": determination["study"],
            "board": determination["board"],
            "determination": digest(determination),
            "conditions": determination["conditions"],
            "note": "Seen.",
        } | changes

    # --- the same, signed

    def decide(
        self, board: str, role: str = "irb-chair", /, *, signed: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A signed determination. `signed` changes the signature, the rest the document."""
        document = self.determination(board, **changes)
        how = {"kind": "determination", "meaning": document["outcome"]} | dict(signed or {})
        return record(document, self.sign(document, board, role, **how))

    def agree(self, site: str, /, **changes: Any) -> dict[str, Any]:
        document, how = self.agreement(site, **changes), {"kind": "reliance", "meaning": "agrees"}
        return record(
            document,
            self.sign(document, site, "institution-admin", **how),
            self.sign(document, self.relies[site], "irb-chair", **how),
        )

    def state(self, site: str, role: str = "institution-admin", /, **changes: Any) -> dict[str, Any]:
        document = self.context(site, **changes)
        return record(document, self.sign(document, site, role, kind="local-context", meaning="states"))

    def delegate(
        self, board: str, role: str = "irb-chair", /, *, signed: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        document = self.delegation(board, **changes)
        how = {"kind": "delegation", "meaning": "delegates"} | dict(signed or {})
        return record(document, self.sign(document, board, role, **how))

    def verify(self, decided: Mapping[str, Any], role: str = "irb-chair", /, **changes: Any) -> dict[str, Any]:
        """The signed word that the conditions of a determination are met."""
        document = self.conditions(decided["document"], **changes)
        signature = self.sign(document, document["board"], role, kind="conditions", meaning="conditions-verified")
        return record(document, signature)

    def documents(self) -> dict[str, Any]:
        """All the evidence that everybody needs, and in which nothing is wrong."""
        return {
            "rosters": [self.roster(slug) for slug in self.protocol["sites"]],
            "determinations": [self.decide(board) for board in self.names],
            "conditions": [],
            "delegations": [],
            "agreements": [self.agree(site) for site in self.relies],
            "contexts": [self.state(site) for site in self.relies],
        }


def record(document: Mapping[str, Any], *signatures: Mapping[str, Any]) -> dict[str, Any]:
    return {"document": dict(document), "signatures": list(signatures)}
