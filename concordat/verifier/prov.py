"""A decision's provenance in the W3C's words: PROV-JSON (W3C member submission of 24 April 2013, by Huynh et al.).

Entities are documents and what was computed, activities what was done, agents who did it. Names are URNs under
`urn:concordat:`: a document by its digest, an entry by its record number. Only what was verified is told; of a dossier
that does not hold, only that it was verified, and did not.
"""

from collections.abc import Mapping
from typing import Any

from concordat import canonical
from concordat.canonical import Json

PREFIXES = {
    "record": "urn:concordat:record:",
    "sha256": "urn:concordat:sha256:",
    "institution": "urn:concordat:institution:",
    "officer": "urn:concordat:officer:",
    "job": "urn:concordat:job:",
    "part": "urn:concordat:part:",
    "concordat": "urn:concordat:term:",
}
"""`prov` and `xsd` are every reader's own. A digest, `sha256:…`, is a name as it stands."""


def encode(answer: Mapping[str, Any]) -> bytes:
    """The document of `Result.to_json()`, in canonical form."""
    return canonical.encode(document(answer))


def document(answer: Mapping[str, Any]) -> dict[str, Json]:
    """The same as a value."""
    made = _Document()
    if answer["bundle"]:
        held = "true" if answer["holds"] else "false"
        made.entity(answer["bundle"], "bundle", "The dossier", **{"concordat:holds": held})
    if answer["story"]:
        _tell(made, answer["story"], answer["bundle"])
    return {"prefix": dict(PREFIXES), **{kind: dict(records) for kind, records in made.records.items() if records}}


class _Document:
    """Records by kind and name. What is named twice is one."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Json]] = {}

    def entity(self, name: str, kind: str, label: str, **more: Json) -> str:
        return self._add("entity", name, {**_typed(f"concordat:{kind}", label), **more})

    def activity(self, name: str, kind: str, label: str, start: str, end: str = "") -> str:
        times: dict[str, Json] = {"prov:startTime": start, "prov:endTime": end or start}
        return self._add("activity", name, {**_typed(f"concordat:{kind}", label), **times})

    def institution(self, slug: str) -> str:
        return self._add("agent", f"institution:{slug}", _typed("prov:Organization", slug))

    def person(self, name: str, label: str, of: str) -> str:
        agent = self._add("agent", name, _typed("prov:Person", label))
        self.relate("actedOnBehalfOf", delegate=agent, responsible=self.institution(of))
        return agent

    def relate(self, relation: str, **ends: str) -> None:
        """A relation between two records, by the names of the PROV data model's parameters."""
        told: dict[str, Json] = {f"prov:{end}": name for end, name in ends.items()}
        if told not in self.records.get(relation, {}).values():
            self._add(relation, f"_:{relation}{len(self.records.get(relation, {})) + 1}", told)

    def _add(self, kind: str, name: str, record: dict[str, Json]) -> str:
        self.records.setdefault(kind, {})[name] = record
        return name


def _tell(made: _Document, story: Mapping[str, Any], bundle: str | None) -> None:
    allowed, computed = story["allowed"], story["computed"]
    protocol = made.entity(allowed["protocol"], "protocol", f"The protocol of the study {allowed['study']}")
    definition = made.entity(allowed["definition"], "definition", "What was to be computed")
    made.relate("wasDerivedFrom", generatedEntity=definition, usedEntity=protocol)
    _allowed(made, allowed, protocol, definition)
    owner = made.institution(computed["owner"])
    model = made.entity(computed["digest"], "model", f"{computed['model']}, version {computed['version']}")
    made.relate("wasAttributedTo", entity=model, agent=owner)
    verdict = made.entity(f"record:{allowed['verdict']}", "verdict", "The authority check before the computation")
    job = made.activity(
        f"job:{computed['job']}", "computation", "Prediction and explanation", computed["started"], computed["finished"]
    )
    for used in (definition, model, verdict):
        made.relate("used", activity=job, entity=used)
    made.relate("wasAssociatedWith", activity=job, agent=made.institution(story["requester"]))
    prediction = made.entity(f"record:{story['record']}", "prediction", "The prediction")
    explanation = made.entity(f"record:{computed['explanation']}", "explanation", "Its explanation")
    for result in (prediction, explanation):
        made.relate("wasGeneratedBy", entity=result, activity=job)
    for each in computed["nodes"]:
        node = made.institution(each["node"])
        receipt = made.entity(
            f"part:{computed['job']}.{each['node']}", "receipt", f"The receipt of {each['node']}, {each['role']}"
        )
        made.relate("wasAssociatedWith", activity=job, agent=node)
        made.relate("wasGeneratedBy", entity=receipt, activity=job)
        made.relate("wasAttributedTo", entity=receipt, agent=node)
    _shown(made, story, [prediction, explanation])
    if bundle:
        made.relate("wasDerivedFrom", generatedEntity=bundle, usedEntity=prediction)


def _allowed(made: _Document, allowed: Mapping[str, Any], protocol: str, definition: str) -> None:
    for review in allowed["reviews"]:
        entry, label = review["entry"], f"{review['name']}, {review['role']}"
        officer = made.person(f"officer:{review['institution']}.{entry}", label, review["institution"])
        signing = made.activity(f"part:signing.{entry}", "signing", "A determination is signed", review["time"])
        signed = made.entity(
            f"record:{entry}",
            "determination",
            f"{review['meaning']} ({review['path']}), for {', '.join(review['sites'])}",
            **{"concordat:signature": review["signature"]},
        )
        made.relate("used", activity=signing, entity=protocol)
        made.relate("wasAssociatedWith", activity=signing, agent=officer)
        made.relate("wasGeneratedBy", entity=signed, activity=signing)
        made.relate("wasAttributedTo", entity=signed, agent=officer)
    for vote in allowed["votes"]:
        label = f"{vote['institution']} {'approves' if vote['approve'] else 'does not approve'}"
        cast = made.entity(f"part:vote.{vote['institution']}", "vote", label)
        made.relate("wasAttributedTo", entity=cast, agent=made.institution(vote["institution"]))
        made.relate("wasDerivedFrom", generatedEntity=cast, usedEntity=definition)


_DISPLAYS = {"suppressed": "The result is kept back", "retracted": "The result is taken back"}


def _shown(made: _Document, story: Mapping[str, Any], shown: list[str]) -> None:
    for each in story["shown"]:
        receipt = made.entity(f"record:{each['entry']}", "display", "The requester's display receipt")
        made.relate("wasAttributedTo", entity=receipt, agent=made.institution(story["requester"]))
        for result in shown:
            made.relate("wasDerivedFrom", generatedEntity=receipt, usedEntity=result)
        if "viewer" in each:
            label = _DISPLAYS.get(each["decision"], "The result is shown")
            display = made.activity(f"part:display.{each['entry']}", "display", label, each["time"])
            made.relate("wasGeneratedBy", entity=receipt, activity=display)
            for result in shown:
                made.relate("used", activity=display, entity=result)


def _typed(kind: str, label: str) -> dict[str, Json]:
    return {"prov:type": {"$": kind, "type": "prov:QUALIFIED_NAME"}, "prov:label": label}
