"""Small OMOP databases (CDM 5.4), in SQLite or PostgreSQL, with the vocabulary that `tests.support.bundles` needs.

The concepts have made-up numbers, but for those that OHDSI's software knows by number: genders and the operator `=`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from concordat.omop import Database, Source
from tests.support.bundles import CREATININE, DIABETES, GLUCOSE, METFORMIN, SMOKER, SYSTOLIC, TEMPERATURE

_EVENT = "provider_id integer, visit_occurrence_id integer, visit_detail_id integer"
DDL: Mapping[str, str] = {
    "person": "person_id integer NOT NULL, gender_concept_id integer NOT NULL, year_of_birth integer NOT NULL, "
    "month_of_birth integer, day_of_birth integer, birth_datetime timestamp, race_concept_id integer NOT NULL, "
    "ethnicity_concept_id integer NOT NULL, location_id integer, provider_id integer, care_site_id integer, "
    "person_source_value varchar(50), gender_source_value varchar(50), gender_source_concept_id integer, "
    "race_source_value varchar(50), race_source_concept_id integer, ethnicity_source_value varchar(50), "
    "ethnicity_source_concept_id integer",
    "observation_period": "observation_period_id integer NOT NULL, person_id integer NOT NULL, "
    "observation_period_start_date date NOT NULL, observation_period_end_date date NOT NULL, "
    "period_type_concept_id integer NOT NULL",
    "condition_occurrence": "condition_occurrence_id integer NOT NULL, person_id integer NOT NULL, "
    "condition_concept_id integer NOT NULL, condition_start_date date NOT NULL, condition_start_datetime timestamp, "
    "condition_end_date date, condition_end_datetime timestamp, condition_type_concept_id integer NOT NULL, "
    f"condition_status_concept_id integer, stop_reason varchar(20), {_EVENT}, condition_source_value varchar(50), "
    "condition_source_concept_id integer, condition_status_source_value varchar(50)",
    "drug_exposure": "drug_exposure_id integer NOT NULL, person_id integer NOT NULL, drug_concept_id integer NOT NULL, "
    "drug_exposure_start_date date NOT NULL, drug_exposure_start_datetime timestamp, "
    "drug_exposure_end_date date NOT NULL, drug_exposure_end_datetime timestamp, verbatim_end_date date, "
    "drug_type_concept_id integer NOT NULL, stop_reason varchar(20), refills integer, quantity numeric, "
    f"days_supply integer, sig text, route_concept_id integer, lot_number varchar(50), {_EVENT}, "
    "drug_source_value varchar(50), drug_source_concept_id integer, route_source_value varchar(50), "
    "dose_unit_source_value varchar(50)",
    "drug_era": "drug_era_id integer NOT NULL, person_id integer NOT NULL, drug_concept_id integer NOT NULL, "
    "drug_era_start_date date NOT NULL, drug_era_end_date date NOT NULL, drug_exposure_count integer, gap_days integer",
    "measurement": "measurement_id integer NOT NULL, person_id integer NOT NULL, "
    "measurement_concept_id integer NOT NULL, measurement_date date NOT NULL, measurement_datetime timestamp, "
    "measurement_time varchar(10), measurement_type_concept_id integer NOT NULL, operator_concept_id integer, "
    "value_as_number numeric, value_as_concept_id integer, unit_concept_id integer, range_low numeric, "
    f"range_high numeric, {_EVENT}, measurement_source_value varchar(50), measurement_source_concept_id integer, "
    "unit_source_value varchar(50), unit_source_concept_id integer, value_source_value varchar(50), "
    "measurement_event_id integer, meas_event_field_concept_id integer",
    "observation": "observation_id integer NOT NULL, person_id integer NOT NULL, "
    "observation_concept_id integer NOT NULL, observation_date date NOT NULL, observation_datetime timestamp, "
    "observation_type_concept_id integer NOT NULL, value_as_number numeric, value_as_string varchar(60), "
    f"value_as_concept_id integer, qualifier_concept_id integer, unit_concept_id integer, {_EVENT}, "
    "observation_source_value varchar(50), observation_source_concept_id integer, unit_source_value varchar(50), "
    "qualifier_source_value varchar(50), value_source_value varchar(50), observation_event_id integer, "
    "obs_event_field_concept_id integer",
    "death": "person_id integer NOT NULL, death_date date NOT NULL, death_datetime timestamp, "
    "death_type_concept_id integer, cause_concept_id integer, cause_source_value varchar(50), "
    "cause_source_concept_id integer",
    "concept": "concept_id integer NOT NULL, concept_name varchar(255) NOT NULL, domain_id varchar(20) NOT NULL, "
    "vocabulary_id varchar(20) NOT NULL, concept_class_id varchar(20) NOT NULL, standard_concept varchar(1), "
    "concept_code varchar(50) NOT NULL, valid_start_date date NOT NULL, valid_end_date date NOT NULL, "
    "invalid_reason varchar(1)",
    "concept_relationship": "concept_id_1 integer NOT NULL, concept_id_2 integer NOT NULL, "
    "relationship_id varchar(20) NOT NULL, valid_start_date date NOT NULL, valid_end_date date NOT NULL, "
    "invalid_reason varchar(1)",
    "concept_ancestor": "ancestor_concept_id integer NOT NULL, descendant_concept_id integer NOT NULL, "
    "min_levels_of_separation integer NOT NULL, max_levels_of_separation integer NOT NULL",
    "cohort": "cohort_definition_id integer NOT NULL, subject_id integer NOT NULL, cohort_start_date date NOT NULL, "
    "cohort_end_date date NOT NULL",
}
"""The columns of the tables that are read, as CDM 5.4 has them."""

INDICES = (
    *(f"CREATE INDEX {table}_person ON {{schema}}{table} (person_id)" for table in DDL if "person_id" in DDL[table]),
    "CREATE INDEX cohort_subject ON {schema}cohort (cohort_definition_id, subject_id)",
    "CREATE INDEX concept_code ON {schema}concept (vocabulary_id, concept_code)",
    "CREATE INDEX ancestor ON {schema}concept_ancestor (ancestor_concept_id)",
)

FEMALE, MALE = 8532, 8507
EQUALS, LESS = 4172703, 4171756
(
    C_SYSTOLIC,
    C_GLUCOSE,
    C_CREATININE,
    C_TEMPERATURE,
    C_SMOKER,
    C_NEVER,
    C_DAILY,
    C_DIABETES,
    C_DIABETES_WITH,
    C_METFORMIN,
    C_METFORMIN_500,
) = range(1001, 1012)
ICD_ONE, ICD_TWO, ICD_VALUE, ATC_METFORMIN, C_KIDNEY, C_NEPHRITIS = range(1021, 1027)
MM_HG, KPA, MG_DL, MMOL_L, UMOL_L, CELSIUS, FAHRENHEIT, NO_UCUM = range(2001, 2009)
PRELIMINARY, CONFIRMED, RESOLVED, ADMISSION = range(3001, 3005)
YES, NO, UNKNOWN = 4001, 4002, 4003

CONCEPTS: Sequence[tuple[int, str, str, str, str]] = (
    (C_SYSTOLIC, "Measurement", "LOINC", "S", SYSTOLIC),
    (C_GLUCOSE, "Measurement", "LOINC", "S", GLUCOSE),
    (C_CREATININE, "Measurement", "LOINC", "S", CREATININE),
    (C_TEMPERATURE, "Measurement", "LOINC", "S", TEMPERATURE),
    (C_SMOKER, "Observation", "LOINC", "S", SMOKER),
    (C_NEVER, "Observation", "SNOMED", "S", "266919005"),
    (C_DAILY, "Observation", "SNOMED", "S", "449868002"),
    (C_DIABETES, "Condition", "SNOMED", "S", DIABETES),
    (C_DIABETES_WITH, "Condition", "SNOMED", "S", "422014003"),
    (C_METFORMIN, "Drug", "RxNorm", "S", METFORMIN),
    (C_METFORMIN_500, "Drug", "RxNorm", "S", "861007"),
    (C_KIDNEY, "Condition", "SNOMED", "S", "709044004"),
    (C_NEPHRITIS, "Condition", "SNOMED", "S", "52845002"),
    (ICD_ONE, "Condition", "ICD10", "", "E11.9"),
    (ICD_TWO, "Condition", "ICD10", "", "E11.2"),
    (ICD_VALUE, "Condition", "ICD10", "", "Z83.3"),
    (ATC_METFORMIN, "Drug", "ATC", "C", "A10BA02"),
    *(
        (concept, "Unit", "UCUM", "S", code)
        for concept, code in (
            *((MM_HG, "mm[Hg]"), (KPA, "kPa"), (MG_DL, "mg/dL"), (MMOL_L, "mmol/L"), (UMOL_L, "umol/L")),
            *((CELSIUS, "Cel"), (FAHRENHEIT, "[degF]")),
        )
    ),
    (NO_UCUM, "Unit", "SNOMED", "S", "258797006"),
    (PRELIMINARY, "Condition Status", "Condition Status", "S", "Preliminary diagnosis"),
    (CONFIRMED, "Condition Status", "Condition Status", "S", "Confirmed diagnosis"),
    (RESOLVED, "Condition Status", "Condition Status", "S", "Resolved condition"),
    (ADMISSION, "Condition Status", "Condition Status", "S", "Admission diagnosis"),
    (YES, "Meas Value", "SNOMED", "S", "373066001"),
    (NO, "Meas Value", "LOINC", "S", "LA32-8"),
    (UNKNOWN, "Meas Value", "SNOMED", "S", "261665006"),
)
"""Number, domain, vocabulary, kind and code; a code here is also the name."""

MAPS = (
    *((concept, concept, "Maps to") for concept, _, _, kind, _ in CONCEPTS if kind == "S"),
    (ICD_ONE, C_DIABETES, "Maps to"),
    (ICD_TWO, C_DIABETES, "Maps to"),
    (ICD_TWO, C_KIDNEY, "Maps to"),
    (ICD_VALUE, C_DIABETES, "Maps to"),
    (ICD_VALUE, C_KIDNEY, "Maps to value"),
)
ANCESTORS = (
    *((concept, concept) for concept, _, _, kind, _ in CONCEPTS if kind in ("S", "C")),
    (C_DIABETES, C_DIABETES_WITH),
    (C_KIDNEY, C_NEPHRITIS),
    (C_METFORMIN, C_METFORMIN_500),
    (ATC_METFORMIN, C_METFORMIN),
    (ATC_METFORMIN, C_METFORMIN_500),
)

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "person": {"gender_concept_id": FEMALE, "year_of_birth": 1961, "month_of_birth": 10, "day_of_birth": 14}
    | {"race_concept_id": 0, "ethnicity_concept_id": 0},
    "measurement": {"measurement_type_concept_id": 32817, "measurement_date": "2026-03-01"},
    "observation": {"observation_type_concept_id": 32817, "observation_date": "2026-03-01"},
    "condition_occurrence": {"condition_type_concept_id": 32817, "condition_start_date": "2020-05-01"},
    "drug_exposure": {"drug_type_concept_id": 32817, "drug_exposure_start_date": "2026-01-01"}
    | {"drug_exposure_end_date": "2026-06-30"},
    "drug_era": {"drug_era_start_date": "2026-01-01", "drug_era_end_date": "2026-06-30"},
    "observation_period": {"period_type_concept_id": 32817, "observation_period_start_date": "2010-01-01"}
    | {"observation_period_end_date": "2027-12-31"},
    "death": {},
    "cohort": {"cohort_definition_id": 1, "cohort_start_date": "2026-03-02", "cohort_end_date": "2026-03-02"},
}
_NUMBERED = {table for table in _DEFAULTS if f"{table}_id" in DDL[table]} - {"person"}
PERSON = 7


class Warehouse:
    """A database that a test fills; `url` is where it is.

    Args:
        place: a file for SQLite, or the URL of an empty PostgreSQL database.
    """

    def __init__(self, place: Path | str, *, schema: str = "") -> None:
        self.schema = schema
        self._prefix = f"{schema}." if schema else ""
        self._connection: Any
        if isinstance(place, Path):
            self.url, self._mark = f"sqlite:///{place}", "?"
            self._connection = sqlite3.connect(place, isolation_level=None)
            self._connection.execute("PRAGMA synchronous = OFF")  # what a test writes may be lost
        else:
            import psycopg

            self.url, self._mark = place, "%s"
            self._connection = psycopg.connect(place, autocommit=True)
        self._numbers = dict.fromkeys(_NUMBERED, 0)
        self._connection.execute("BEGIN")
        if schema:
            self._connection.execute(f"CREATE SCHEMA {schema}")
        for table, columns in DDL.items():
            self._connection.execute(f"CREATE TABLE {self._prefix}{table} ({columns})")
        for index in INDICES:
            self._connection.execute(index.format(schema=self._prefix))
        since = {"valid_start_date": "1970-01-01", "valid_end_date": "2099-12-31"}
        for concept, domain, vocabulary, kind, code in CONCEPTS:
            self.insert(
                "concept",
                concept_id=concept,
                concept_name=code,
                domain_id=domain,
                vocabulary_id=vocabulary,
                concept_class_id="any",
                standard_concept=kind or None,
                concept_code=code,
                **since,
            )
        for one, two, kind in MAPS:
            self.insert("concept_relationship", concept_id_1=one, concept_id_2=two, relationship_id=kind, **since)
        for one, two in ANCESTORS:
            self.insert(
                "concept_ancestor",
                ancestor_concept_id=one,
                descendant_concept_id=two,
                min_levels_of_separation=int(one != two),
                max_levels_of_separation=int(one != two),
            )
        self._connection.execute("COMMIT")

    def insert(self, table: str, **columns: Any) -> None:
        """A row as it is given."""
        marks = ", ".join([self._mark] * len(columns))
        text = f"INSERT INTO {self._prefix}{table} ({', '.join(columns)}) VALUES ({marks})"
        self._connection.execute(text, tuple(columns.values()))

    def many(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Many rows at once."""
        marks = ", ".join([self._mark] * len(columns))
        text = f"INSERT INTO {self._prefix}{table} ({', '.join(columns)}) VALUES ({marks})"
        self._connection.execute("BEGIN")
        self._connection.cursor().executemany(text, rows)
        self._connection.execute("COMMIT")

    def execute(self, text: str) -> None:
        """Any other statement."""
        self._connection.execute(text)

    def add(self, table: str, **columns: Any) -> None:
        """A row of one person, with what must be there filled in."""
        whose = {} if table == "cohort" else {"person_id": PERSON}
        number = {}
        if table in _NUMBERED:
            self._numbers[table] += 1
            number = {f"{table}_id": self._numbers[table]}
        self.insert(table, **{**number, **whose, **_DEFAULTS[table], **columns})

    def measure(
        self, concept: int = C_SYSTOLIC, amount: float | None = 120, unit: int | None = MM_HG, **more: Any
    ) -> None:
        """A measurement."""
        about = {"measurement_concept_id": concept, "value_as_number": amount, "unit_concept_id": unit}
        self.add("measurement", **{**about, **more})

    def observe(self, concept: int = C_SMOKER, answer: int | None = C_DAILY, **more: Any) -> None:
        """An observation."""
        self.add("observation", **{"observation_concept_id": concept, "value_as_concept_id": answer, **more})

    def diagnose(self, concept: int = C_DIABETES, **more: Any) -> None:
        """A condition."""
        self.add("condition_occurrence", **{"condition_concept_id": concept, **more})

    def give(self, concept: int = C_METFORMIN_500, **more: Any) -> None:
        """A drug."""
        self.add("drug_exposure", **{"drug_concept_id": concept, **more})

    def open(self, **more: Any) -> Database:
        """Opened to be read."""
        place: Source = {"url": self.url}
        if self.schema:
            place["schema"] = self.schema
        return Database({**place, **more})  # type: ignore[typeddict-item]

    def close(self) -> None:
        """No more rows."""
        self._connection.close()
