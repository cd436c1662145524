"""What IHE's profiles of AuditEvents ask for, as a table, and a check of an event against the profile that it names.

Basic Audit Log Patterns (BALP) 1.1.4 for FHIR R4: the profiles `Read` and `PatientRead`, `Update` and `PatientUpdate`,
`AuthZconsent`, and `AuditPrivacyDisclosureSource`, read in their sources at https://github.com/IHE/ITI.BasicAudit (tag
1.1.4) and written down here in words of our own. 1.1.3 has the same rules for these. In the table are cardinalities,
fixed codes, value sets and slices, open or closed, with the invariant `val-audit-source`; slices that we do not write
are in it, too. Not in it: what is said in prose, `must support`, and what base R4 says, which R4's schema and the
classes of R4B check. It has nothing against IHE's own examples of these profiles (tag 1.1.4, eight of them); those of
updates were not tried.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Code = tuple[str, str]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_BALP = "https://profiles.ihe.net/ITI/BALP"
_SNOMED = "http://snomed.info/sct"
MANY = 10**6


@dataclass(frozen=True)
class Slice:
    """Elements of a list that are told by their `type`, and what holds for each. Paths have dots; `codes` are the ones
    that an element may have; `reference` is the type of resource of `what`; with `observer`, `who` is the source's."""

    kind: Code
    least: int
    most: int = 1
    needed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    fixed: Mapping[str, object] = field(default_factory=dict)
    codes: Mapping[str, frozenset[Code]] = field(default_factory=dict)
    reference: str = ""
    observer: bool = False


@dataclass(frozen=True)
class Profile:
    """`subtypes`: one of the event's is among them; where there are `every`, each of them is."""

    kind: Code
    fixed: Mapping[str, object]
    needed: tuple[str, ...]
    absent: tuple[str, ...]
    subtypes: frozenset[Code]
    every: bool
    agents: Mapping[str, Slice]
    entities: Mapping[str, Slice]
    least_entities: int = 2
    closed: bool = False


_PERSON = "media", "network"
_NOBODY = "role", "altId", "name", "location", "policy", "media", "network"
_PATIENT = Slice(
    (f"{_TERMS}/audit-entity-type", "1"),
    1,
    needed=("what", "role"),
    codes={"role": frozenset({(f"{_TERMS}/object-role", "1")})},
    reference="Patient",
)
_WHO = ("who",)
_MACHINE = ("who", "network")

_SOURCE, _DESTINATION = "110153", "110152"


def _restful(
    action: str, interactions: tuple[str, ...], *, client: str, server: str, data: tuple[str, ...] = ("what",)
) -> Profile:
    """One that is about a RESTful interaction with a patient's resource, and what it needs to say of that."""
    return Profile(
        kind=(f"{_TERMS}/audit-event-type", "rest"),
        fixed={"action": action, "outcome": "0"},
        needed=("subtype", "recorded", "outcome"),
        absent=(),
        subtypes=frozenset({("http://hl7.org/fhir/restful-interaction", each) for each in interactions}),
        every=False,
        agents={
            "client": Slice((_DCM, client), 1, needed=_MACHINE, absent=("media",)),
            "server": Slice((_DCM, server), 1, needed=_MACHINE, absent=("media",)),
            "user": Slice(
                (f"{_TERMS}/v3-ParticipationType", "IRCP"), 0, needed=_WHO, absent=_PERSON, fixed={"requestor": True}
            ),
        },
        entities={
            "transaction": Slice(
                (f"{_BALP}/CodeSystem/BasicAuditEntityType", "XrequestId"), 0, needed=("what.identifier.value",)
            ),
            "data": Slice(
                (f"{_TERMS}/audit-entity-type", "2"),
                1,
                needed=data,
                codes={"role": frozenset({(f"{_TERMS}/object-role", each) for each in ("3", "4", "20")})},
            ),
            "patient": _PATIENT,
        },
    )


PROFILES: Mapping[str, Profile] = {
    "PatientRead": _restful("R", ("read", "vread"), client=_DESTINATION, server=_SOURCE),
    "PatientUpdate": _restful("U", ("update", "patch"), client=_SOURCE, server=_DESTINATION, data=("what", "role")),
    "AuthZconsent": Profile(
        kind=(_DCM, "110113"),
        fixed={"action": "E"},
        needed=("type", "subtype", "recorded", "outcome"),
        absent=("modifierExtension",),
        subtypes=frozenset({(f"{_BALP}/CodeSystem/AuthZsubType", each) for each in ("AuthZ-Consent", "AuthZ-Role")}),
        every=True,
        agents={
            "client": Slice(
                (_DCM, "110150"),
                1,
                needed=_MACHINE,
                absent=("role", "altId", "name", "location", "media", "purposeOfUse"),
            ),
            "user": Slice(
                (f"{_TERMS}/v3-ParticipationType", "IRCP"),
                1,
                needed=_WHO,
                absent=("altId", "location", *_PERSON),
                fixed={"requestor": True},
            ),
            "userorg": Slice(
                (f"{_TERMS}/v3-RoleClass", "PROV"), 1, needed=_WHO, absent=_NOBODY, fixed={"requestor": False}
            ),
            "authorizer": Slice(
                (f"{_TERMS}/extra-security-role-type", "authserver"),
                1,
                needed=_WHO,
                absent=(*_NOBODY, "purposeOfUse"),
                fixed={"requestor": False},
                observer=True,
            ),
        },
        entities={
            "patient": _PATIENT,
            "consent": Slice(("http://hl7.org/fhir/resource-types", "Consent"), 1, MANY, needed=("what",)),
            "token": Slice(
                (f"{_BALP}/CodeSystem/UserAgentTypes", "UserOauthAgent"), 0, needed=("what.identifier.value",)
            ),
        },
        closed=True,
    ),
    "PrivacyDisclosure.Source": Profile(
        kind=(_DCM, "110106"),
        fixed={"action": "R"},
        needed=("type", "recorded", "outcome"),
        absent=("modifierExtension",),
        subtypes=frozenset({(f"{_TERMS}/iso-21089-lifecycle", "disclose")}),
        every=False,
        agents={
            "source": Slice((_DCM, "110153"), 1, needed=_MACHINE, observer=True),
            "recipient": Slice((_DCM, "110152"), 1, needed=_MACHINE),
            "custodian": Slice((_SNOMED, "159541003"), 0, needed=_WHO),
            "authorizer": Slice((_SNOMED, "429577009"), 0, needed=_WHO),
        },
        entities={"patient": _PATIENT},
    ),
}
"""By the last part of a profile's address."""


def profile(event: Json) -> str:
    """The profile that an event names."""
    (address,) = event["meta"]["profile"]
    return str(address).removeprefix(f"{_BALP}/StructureDefinition/IHE.BasicAudit.")


def violations(event: Json) -> list[str]:
    """What its profile has against an event; nothing where it conforms."""
    return list(_of(event, PROFILES[profile(event)]))


def _of(event: Json, rules: Profile) -> Iterator[str]:
    if rules.kind not in codes(event.get("type")):
        yield "type"
    yield from _element(event, rules.needed, rules.absent, rules.fixed)
    told = [bool(rules.subtypes & codes(each)) for each in event.get("subtype", [])]
    if not (all(told) if rules.every else sum(told) == 1):
        yield "subtype"
    agents, entities = event.get("agent", []), event.get("entity", [])
    if len(agents) < 2:
        yield "agent: fewer than 2"
    if len(entities) < rules.least_entities:
        yield f"entity: fewer than {rules.least_entities}"
    for name, listed, slices in (("agent", agents, rules.agents), ("entity", entities, rules.entities)):
        known = 0
        for part, each in slices.items():
            found = [one for one in listed if each.kind in codes(one.get("type"))]
            known += len(found)
            if not each.least <= len(found) <= each.most:
                yield f"{name}:{part}: {len(found)} of them"
            for one in found:
                yield from (f"{name}:{part}.{said}" for said in _slice(one, each, event))
        if rules.closed and name == "entity" and known != len(listed):
            yield "entity: of no slice"


def _slice(one: Json, rules: Slice, event: Json) -> Iterator[str]:
    yield from _element(one, rules.needed, rules.absent, rules.fixed)
    for name, allowed in rules.codes.items():
        if name in one and not allowed & codes(one[name]):
            yield name
    what = one.get("what", {})
    if rules.reference and rules.reference not in (what.get("type"), what.get("reference", "").split("/")[0]):
        yield "what: of another type"
    if rules.observer and one.get("who") != event.get("source", {}).get("observer"):
        yield "who: not the source's observer"


def _element(one: Json, needed: tuple[str, ...], absent: tuple[str, ...], fixed: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{path}: missing" for path in needed if not _at(one, path))
    yield from (f"{name}: must not be there" for name in absent if name in one)
    yield from (f"{name}: another value" for name, value in fixed.items() if one.get(name) != value)


def _at(one: Any, path: str) -> Any:
    for name in path.split("."):
        one = one.get(name) if isinstance(one, dict) else None
    return one


def codes(concept: Any) -> set[Code]:
    """System and code of a Coding, or of each of a CodeableConcept."""
    codings = concept.get("coding", [concept]) if isinstance(concept, dict) else []
    return {(each.get("system"), each.get("code")) for each in codings}
