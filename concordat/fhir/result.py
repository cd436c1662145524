"""An opened prediction as a FHIR R4 transaction: RiskAssessment, an Observation of the factors, and Provenance.

A server that takes the Bundle twice has the resources once: RiskAssessment and Observations are created unless one with
their identifier is there, and the Provenance has an id of its own. Decimals have four places, as in the explanation.

https://hl7.org/fhir/R4/riskassessment.html (`probabilityDecimal` is a percentage there, and so it is here)
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from concordat import clock, record_number
from concordat.classes import AGAINST, Classes
from concordat.explanation import Explanation, Factor, decimal, fit_line, intervals_line, method_lines
from concordat.fhir.names import by_uuid, concept, extension, identified, system, uuid_identifier
from concordat.reading.record import Origin
from concordat.reading.units import UCUM

_TABLES = {
    **dict.fromkeys(("measurement", "observation"), "Observation"),
    **dict.fromkeys(("drug_exposure", "drug_era"), "MedicationStatement"),
    "condition_occurrence": "Condition",
}
"""What a row of an OMOP table would be in FHIR."""

_SIGNATURES = "urn:iso-astm:E1762-95:2013"
AUTHOR, _PARTICIPANT = "1.2.840.10065.1.12.1.1", "1.2.840.10065.1.12.1.3"
_PARTICIPANTS = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

LIMITS = (
    "Computed under secure multi-party computation: no institution but the requester's has seen the record or this "
    "result. It supports a clinician's decision and does not replace it."
)


@dataclass(frozen=True)
class About:
    """What a result is about, and what vouches for it.

    Attributes:
        request: the request's id (UUID). `signed` is the request itself (JWS), signed by `requester`.
        receipts: the nodes' receipts (JWS) by the node's short name.
        made: when the last node had finished.
        person: the clinician's handle (UUID), `subject` the patient's pseudonym (UUID).
        patient: the Patient's reference on the server that the record came from; empty where it came from none.
        definition: the computation definition's digest; `computed` says in words what is predicted.
        record: the decision's number, in the log of `log_origin`, verified in its first `log_size` entries.
        origins: where the values came from.
        codes: by group of features, FHIR Codings of what they are.
    """

    request: str
    signed: str
    requester: str
    receipts: Mapping[str, str]
    made: datetime
    person: str
    subject: str
    patient: str
    definition: str
    computed: str
    record: str
    log_origin: str
    log_size: int
    origins: Sequence[Origin]
    codes: Mapping[str, Sequence[Mapping[str, str]]]


def result_bundle(answer: Explanation | Classes, about: About) -> dict[str, Any]:
    """The Bundle, of type transaction.

    Args:
        answer: what was opened and verified; of several classes, an Observation of the factors for each.
    """
    if isinstance(answer, Classes):
        told = [(each.name, each.probability, each.explanation) for each in answer.ranked]
    else:
        told = [("", answer.probability, answer)]
    basis = _basis(about)
    factors = [
        (_url(about, f"factors:{name}"), _factors(about, name, explanation, basis)) for name, _, explanation in told
    ]
    assessment = _assessment(about, told, basis, [url for url, _ in factors])
    urls = [_url(about, "assessment"), *(url for url, _ in factors)]
    entries = [
        _created(url, resource)
        for url, resource in zip(urls, [assessment, *(each for _, each in factors)], strict=True)
    ]
    identity = str(_uuid(about, "provenance"))
    put = {"method": "PUT", "url": f"Provenance/{identity}"}
    provenance = {"id": identity, **_provenance(about, urls)}
    entries.append({"fullUrl": f"urn:uuid:{identity}", "resource": provenance, "request": put})
    return {
        "resourceType": "Bundle",
        "identifier": uuid_identifier(about.request),
        "type": "transaction",
        "timestamp": clock.rfc3339(about.made),
        "entry": entries,
    }


def agent(code: str) -> dict[str, Any]:
    """The type of a Provenance's agent."""
    return {"coding": [{"system": _PARTICIPANTS, "code": code}]}


def _assessment(
    about: About, told: Sequence[tuple[str, float, Explanation]], basis: list[dict[str, Any]], factors: Sequence[str]
) -> dict[str, Any]:
    first = told[0][2]
    record = {"system": system("record"), "value": f"{about.log_origin} {about.record}"}
    return {
        "resourceType": "RiskAssessment",
        "identifier": [_own(about, "assessment"), uuid_identifier(about.request), record],
        "status": "final",
        "method": concept("method", first.wording.name.replace(" ", "-"), first.wording.name),
        "code": concept("definition", about.definition),
        "subject": _subject(about),
        "occurrenceDateTime": clock.rfc3339(about.made),
        "performer": {"type": "Organization", **identified("institution", about.requester)},
        "basis": [*basis, *({"reference": url} for url in factors)],
        "prediction": [_prediction(about, *each) for each in told],
        "note": [{"text": text} for text in (LIMITS, *_method(first, told[0][0]))],
    }


def _prediction(about: About, name: str, probability: float, explanation: Explanation) -> dict[str, Any]:
    outcome = concept("class", name, name) if name else {"text": about.computed}
    said = [factor.sentence for factor in explanation.factors[:3]] if explanation.reliable else []
    rationale = " ".join(said) or fit_line(explanation)
    return {"outcome": outcome, "probabilityDecimal": _percent(probability), "rationale": rationale}


def _factors(about: About, name: str, explanation: Explanation, basis: list[dict[str, Any]]) -> dict[str, Any]:
    notes = [fit_line(explanation), intervals_line(explanation), *_method(explanation, name)]
    code = concept("document-kind", "factors", "What moved a prediction, and by how much")
    if name:
        code["coding"].append({"system": system("class"), "code": name})
    fit = [
        {"code": concept("fit", kind), **value}
        for kind, value in (
            ("adjusted-r-squared", {"valueQuantity": _number(explanation.adjusted_r_squared, explanation, "1")}),
            ("reliable", {"valueBoolean": explanation.reliable}),
            ("impossible", {"valueQuantity": _number(explanation.impossible, explanation, "1")}),
        )
    ]
    return {
        "resourceType": "Observation",
        "identifier": [_own(about, f"factors:{name}")],
        "status": "final",
        "code": code,
        "subject": _subject(about),
        "effectiveDateTime": clock.rfc3339(about.made),
        "method": concept("method", explanation.wording.name.replace(" ", "-"), explanation.wording.name),
        "note": [{"text": text} for text in notes],
        **({"derivedFrom": found} if (found := [each for each in basis if _observed(each)]) else {}),
        "component": [*(_component(about, factor, explanation) for factor in explanation.factors), *fit],
    }


def _component(about: About, factor: Factor, explanation: Explanation) -> dict[str, Any]:
    said: list[dict[str, Any]] = [
        {"url": extension("factor-value"), "valueString": factor.value},
        {"url": extension("factor-imputed"), "valueBoolean": factor.imputed},
        {"url": extension("factor-direction"), "valueCode": factor.direction},
    ]
    if factor.low is not None and factor.high is not None:
        ends = {name: _number(end, explanation) for name, end in (("low", factor.low), ("high", factor.high))}
        said.insert(0, {"url": extension("factor-interval"), "valueRange": ends})
    coding = [*map(dict, about.codes.get(factor.group, ())), {"system": system("factor"), "code": factor.group}]
    return {
        "extension": said,
        "code": {"coding": coding, "text": factor.label},
        "valueQuantity": _number(factor.coefficient, explanation),
    }


def _provenance(about: About, targets: Sequence[str]) -> dict[str, Any]:
    requester = {"type": "Organization", **identified("institution", about.requester)}
    nodes = {name: {"type": "Organization", **identified("institution", name)} for name in about.receipts}
    when = clock.rfc3339(about.made)
    said: dict[str, dict[str, Any]] = {
        "origin": {"valueString": about.log_origin},
        "entry": {"valueUnsignedInt": record_number.parse(about.record)},
        "size": {"valueUnsignedInt": about.log_size},
    }
    log = {"url": extension("log"), "extension": [{"url": name, **value} for name, value in said.items()]}
    record = {"system": system("record"), "value": f"{about.log_origin} {about.record}"}
    return {
        "resourceType": "Provenance",
        "extension": [log],
        "target": [{"reference": url} for url in targets],
        "occurredDateTime": when,
        "recorded": when,
        "agent": [
            {"type": agent("author"), "who": requester},
            {
                "who": {"type": "Practitioner", **by_uuid(about.person)},
                "onBehalfOf": requester,
            },
            *({"type": agent("performer"), "who": node} for node in nodes.values()),
        ],
        "entity": [
            {"role": "source", "what": {"identifier": record}},
            {"role": "derivation", "what": identified("definition", about.definition)},
        ],
        "signature": [
            signature(AUTHOR, requester, about.signed, when),
            *(signature(_PARTICIPANT, nodes[name], token, when) for name, token in about.receipts.items()),
        ],
    }


def signature(kind: str, who: Mapping[str, Any], token: str, when: str) -> dict[str, Any]:
    """A Signature: a signed document (JWS, RFC 7515) in the element for it; what it signs is in it. `kind` is the
    purpose (ASTM E1762-95), `who` a Reference, and `when` in RFC 3339."""
    return {
        "type": [{"system": _SIGNATURES, "code": kind}],
        "when": when,
        "who": dict(who),
        "targetFormat": "application/json",
        "sigFormat": "application/jose",
        "data": base64.b64encode(token.encode()).decode(),
    }


def _basis(about: About) -> list[dict[str, Any]]:
    """References to what was read, once each; what no server knows by a reference is named by its kind alone."""
    found: dict[str, dict[str, Any]] = {}
    for origin in about.origins:
        if origin["resource"] in ("", "Patient", "person") or not origin["place"]:
            continue
        kind = {"type": _TABLES.get(origin["resource"], origin["resource"])}
        known: dict[str, Any] = {"reference": origin["reference"]} if "/" in origin["reference"] else {}
        found[origin["place"]] = {**known, **kind, "display": f"as it was read: {origin['taken'] or 'undated'}"}
    return list(found.values())


def _observed(reference: Mapping[str, Any]) -> bool:
    return reference.get("type") == "Observation"


def _subject(about: About) -> dict[str, Any]:
    known = {"reference": about.patient} if "/" in about.patient else {}
    return {**known, "type": "Patient", **by_uuid(about.subject)}


def _method(explanation: Explanation, name: str) -> list[str]:
    return method_lines(explanation, f"log-odds against {AGAINST}" if name else explanation.target)


def _created(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    own = resource["identifier"][0]
    unless = f"identifier={own['system']}|{own['value']}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": unless}
    return {"fullUrl": url, "resource": resource, "request": request}


def _number(value: float, explanation: Explanation, unit: str = "") -> dict[str, Any]:
    """A Quantity without a dimension, which says in words what it counts."""
    words = unit or ("log-odds" if explanation.target == "log-odds" else "probability")
    return {"value": float(decimal(value)), "unit": words, "system": UCUM, "code": "1"}


def _percent(probability: float) -> float:
    """Within 0 and 100: a probability may open a little outside of 0 to 1."""
    return float(decimal(100 * min(max(probability, 0.0), 1.0)))


def _own(about: About, name: str) -> dict[str, str]:
    return uuid_identifier(str(_uuid(about, name)))


def _url(about: About, name: str) -> str:
    return f"urn:uuid:{_uuid(about, name)}"


def _uuid(about: About, name: str) -> UUID:
    """The same for the same request, always."""
    return uuid5(UUID(about.request), name)
