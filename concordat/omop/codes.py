"""A feature schema's codes, found in the vocabulary of the database: which rows speak of which feature.

A code becomes the standard concept that it maps to; of conditions and drugs, also all concepts below that one. A code
that maps to none, to several or to a concept and a value is only found in rows that were made from it, by their source
concept: what several concepts mean together, none of them says alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from concordat.omop.database import Database, chunks, marks
from concordat.reading.values import TRUTH, Key, invalid, key
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema

VOCABULARIES: Mapping[str, str] = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://www.whocc.no/atc": "ATC",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "ICD10GM",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.ama-assn.org/go/cpt": "CPT4",
}
"""Code systems, and the vocabularies that have their codes."""

DOMAINS: Mapping[str, frozenset[str]] = {
    "Observation": frozenset({"Measurement", "Observation", "Meas", "Obs"}),
    "Condition": frozenset({"Condition"}),
    "MedicationStatement": frozenset({"Drug"}),
}
"""Which domains' tables are read for a feature, by its `resource`."""


ABSENT: frozenset[Key] = frozenset(
    {("http://snomed.info/sct", "261665006"), ("http://snomed.info/sct", "385432009")}
    | {("http://loinc.org", "LA4489-6"), ("http://loinc.org", "LA4720-4")}
)
"""Answers that there is no value: unknown, not applicable."""


@dataclass(frozen=True)
class Found:
    """The concepts that speak of features: `standard` in a row's concept, `source` in its source concept; `named` are
    those of `standard` that the codes stand for themselves. `below`: whether it has those below them, too. `unsure`
    are the names of features with a code that only source concepts have, which many databases do not fill in: that no
    row is found does not say that there is nothing."""

    below: bool
    standard: dict[int, list[Feature]] = field(default_factory=dict)
    source: dict[int, list[Feature]] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)

    def of(self, concept: int | None, source: int | None) -> list[Feature]:
        """The features that a row with these two concepts speaks of, once each."""
        first = self.standard.get(concept or 0, [])
        second = self.source.get(source or 0, [])
        if not second:
            return first
        return first + [each for each in second if not any(each is other for other in first)]


@dataclass(frozen=True)
class Codes:
    """All that is needed to understand rows: `found` by the resource of features, `values` the codes that a value's
    concept stands for, `units` UCUM codes and `statuses` a condition's, by concept."""

    found: Mapping[str, Found]
    values: Mapping[int, frozenset[Key]]
    units: Mapping[int, str]
    statuses: Mapping[int, str]


@dataclass(frozen=True)
class _Concept:
    concept: int
    kind: str
    domain: str
    targets: tuple[tuple[int, str], ...] = ()

    def standard(self) -> tuple[tuple[int, str], ...]:
        """What it means, as a standard or a classifying concept, with its domain; nothing if not exactly one."""
        if self.kind in ("S", "C"):
            return ((self.concept, self.domain),)
        return self.targets if len(self.targets) == 1 else ()


def resolve(database: Database, schema: FeatureSchema, *others: Feature) -> Codes:
    """Find the codes of a schema, and of further features, in a bounded number of queries.

    Raises:
        Refused: FIELD_INVALID naming a feature that only a FHIRPath finds, or whose codes belong to other tables;
            CODE_UNKNOWN naming one none of whose codes is in the vocabulary; OMOP_UNAVAILABLE, OMOP_INVALID.
    """
    features = [each for each in (*schema.features, *others) if each.codes or each.path]
    for feature in features:
        if feature.path and not feature.codes:
            detail = "A FHIRPath finds nothing in OMOP tables. Give the feature codes in the schema."
            raise invalid(feature, detail)
    levels = [key(code) for feature in features for level in feature.levels for code in level.codes]
    asked = [key(code) for feature in features for code in feature.codes]
    concepts = _concepts(database, dict.fromkeys([*asked, *levels, *TRUTH, *ABSENT]))
    found = {resource: Found(below=resource != "Observation") for resource in DOMAINS}
    for feature in features:
        if feature.patient is None or feature in others:
            _place(feature, concepts, found)
        else:
            _try_to_place(feature, concepts, found)
    for place in found.values():
        if place.below:
            _descend(database, place)
    return Codes(found, _values(concepts, [*levels, *TRUTH, *ABSENT]), *_units_and_statuses(database))


def _place(feature: Feature, concepts: Mapping[Key, _Concept], found: Mapping[str, Found]) -> None:
    resource = feature.resource or "Observation"
    known = [concepts[key(code)] for code in feature.codes if key(code) in concepts]
    if not known:
        detail = f"None of the codes of {feature.label} is in the database's vocabulary."
        raise Refused(Reason.CODE_UNKNOWN, detail=detail, field=feature.name)
    place = found[resource]
    for concept in known:
        _add(place.source, concept.concept, feature)
        if not concept.standard():
            place.unsure.add(feature.name)
        for target, domain in concept.standard():
            if not DOMAINS[resource] & set(domain.split("/")):
                detail = f"A code of it is of the domain {domain}, whose table is not read for a feature of this kind."
                raise invalid(feature, detail)
            _add(place.standard, target, feature)
            place.named.add(target)


def _try_to_place(feature: Feature, concepts: Mapping[Key, _Concept], found: Mapping[str, Found]) -> None:
    """What the table `person` says first need not have a code that is known here."""
    with suppress(Refused):
        _place(feature, concepts, found)


def _add(by: dict[int, list[Feature]], concept: int, feature: Feature) -> None:
    features = by.setdefault(concept, [])
    if not any(each is feature for each in features):
        features.append(feature)


def _concepts(database: Database, asked: Iterable[Key]) -> dict[Key, _Concept]:
    systems = {**VOCABULARIES, **database.source.get("vocabularies", {})}
    by_vocabulary: dict[str, dict[str, list[Key]]] = {}
    for system, code in asked:
        if system in systems:
            by_vocabulary.setdefault(systems[system], {}).setdefault(code, []).append((system, code))
    bare: dict[Key, _Concept] = {}
    for vocabulary, codes in by_vocabulary.items():
        for some in chunks(list(codes)):
            query = (
                "SELECT concept_id, concept_code, standard_concept, domain_id FROM {concept} "  # noqa: S608
                f"WHERE vocabulary_id = ? AND concept_code IN ({marks(some)}) ORDER BY concept_id"
            )
            for concept, code, kind, domain in database.rows("concept", query, [vocabulary, *some]):
                for each in codes[str(code)]:
                    bare.setdefault(each, _Concept(int(concept), kind or "", domain))
    targets = _maps(database, [each.concept for each in bare.values() if each.kind not in ("S", "C")])
    return {
        each: _Concept(said.concept, said.kind, said.domain, targets.get(said.concept, ()))
        for each, said in bare.items()
    }


def _maps(database: Database, concepts: Sequence[int]) -> dict[int, tuple[tuple[int, str], ...]]:
    """Standard concepts and their domains, by the concept that maps to them; none for one that also has a value."""
    targets: dict[int, dict[int, str]] = {}
    split: set[int] = set()
    for some in chunks(sorted(set(concepts))):
        query = (
            "SELECT r.concept_id_1, r.concept_id_2, r.relationship_id, c.domain_id FROM {concept_relationship} r "  # noqa: S608
            "JOIN {concept} c ON c.concept_id = r.concept_id_2 "
            "WHERE r.relationship_id IN ('Maps to', 'Maps to value') "
            f"AND (r.invalid_reason IS NULL OR r.invalid_reason = '') AND r.concept_id_1 IN ({marks(some)})"
        )
        for concept, target, relationship, domain in database.rows("concept_relationship", query, some):
            if relationship == "Maps to value":
                split.add(concept)
            else:
                targets.setdefault(concept, {})[target] = domain
    return {concept: tuple(found.items()) for concept, found in targets.items() if concept not in split}


def _descend(database: Database, found: Found) -> None:
    for some in chunks(sorted(found.named)):
        query = (
            "SELECT ancestor_concept_id, descendant_concept_id FROM {concept_ancestor} "  # noqa: S608
            f"WHERE ancestor_concept_id IN ({marks(some)})"
        )
        owners = {each: tuple(found.standard[each]) for each in some}
        for ancestor, descendant in database.rows("concept_ancestor", query, some):
            for feature in owners[ancestor]:
                _add(found.standard, descendant, feature)


def _values(concepts: Mapping[Key, _Concept], asked: Iterable[Key]) -> dict[int, frozenset[Key]]:
    values: dict[int, set[Key]] = {}
    for each in asked:
        said = concepts.get(each)
        if said is not None:
            for concept in (said.concept, *(target for target, _ in said.standard())):
                values.setdefault(concept, set()).add(each)
    return {concept: frozenset(found) for concept, found in values.items()}


def _units_and_statuses(database: Database) -> tuple[dict[int, str], dict[int, str]]:
    query = (
        "SELECT concept_id, vocabulary_id, concept_code, concept_name FROM {concept} "
        "WHERE vocabulary_id IN ('UCUM', 'Condition Status')"
    )
    rows = database.rows("concept", query)
    units = {concept: code for concept, vocabulary, code, _ in rows if vocabulary == "UCUM"}
    return units, {concept: name for concept, vocabulary, _, name in rows if vocabulary != "UCUM"}
