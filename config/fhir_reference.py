"""The reference page about FHIR, made from the tables that the code goes by."""

from collections.abc import Callable, Iterable

from concordat.fhir import bundle, capability, names, observations, paths, statements, task, units, values

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], str]


def page(table: Table) -> str:
    """The page's text; `table` makes a Markdown table of a heading and rows."""
    read = table(("resource", "how much of it"), ((f"`{kind}`", said) for kind, said in capability.READ.items()))
    written = table(("resource", "what it says"), ((f"`{kind}`", said) for kind, said in capability.WRITTEN.items()))
    tables = {
        "types": ", ".join(f"`{each}`" for each in bundle.TYPES),
        "read": read,
        "final": ", ".join(f"`{each}`" for each in observations.FINAL),
        "statuses": table(("status", "what it says"), _statuses()),
        "truth": table(
            ("system", "code", "means"),
            ((f"`{system}`", f"`{code}`", "yes" if yes else "no") for (system, code), yes in values.TRUTH.items()),
        ),
        "measures": ", ".join(f"`{each}`" for each in sorted(units.MEASURES)),
        "functions": ", ".join(f"`{each}`" for each in sorted(paths.FUNCTIONS)),
        "longest": str(paths.LONGEST),
        "written": written,
        "task": table(("job", "Task.status"), ((f"`{state}`", f"`{status}`") for state, status in task.STATUS.items())),
        "systems": table(("system", "its codes"), ((f"`{names.system(name)}`", said) for name, said in _of("SYSTEMS"))),
        "extensions": table(
            ("extension", "what it says"), ((f"`{names.extension(name)}`", said) for name, said in _of("EXTENSIONS"))
        ),
    }
    return _TEXT.format(**tables)


def _of(kind: str) -> Iterable[tuple[str, str]]:
    return (names.SYSTEMS if kind == "SYSTEMS" else names.EXTENSIONS).items()


def _statuses() -> Iterable[tuple[str, str]]:
    for element, says in (
        ("Condition.verificationStatus", statements.VERIFICATION_SAYS),
        ("Condition.clinicalStatus", statements.CLINICAL_SAYS),
        ("MedicationStatement.status", statements.MEDICATION_SAYS),
    ):
        for code, said in says.items():
            yield f"`{element}` {code}", _SAYS[said]


_SAYS = {
    "yes": "yes",
    "no": "no",
    "refuted": "no; beside an active one, the record is refused",
    "uncertain": "nothing: the value is missing, even where `none_means_no`",
    "error": "nothing: as if it were not there",
}

_TEXT = """# FHIR

What the institution's own client reads and writes in FHIR R4 (4.0.1), in JSON. All of it happens on the machine that
holds the record. Generated from `concordat/fhir`; `concordat fhir capability` prints the same as a CapabilityStatement.

## What is read

`concordat predict --fhir FILE` reads a Bundle of one patient, of type {types}. A page of a search that has a next
one is refused: newer values may be on the others. `concordat predict --ehr ID` fetches all that a schema asks for
[from a FHIR server](../how-to/connect-an-ehr.md), and reads it in the same way.

{read}
Everything else is left out, counted by type, and goes no further; the command says so. An Observation, Condition or
MedicationStatement about another patient refuses the whole Bundle, whether it is asked for or not. References
are resolved by `fullUrl`, relatively to the server
that the entry came from, by `#id` to contained resources, and by identifier where there is no reference.
A `modifierExtension` or `implicitRules` on what is read refuses it.

### Which feature is found where

By these fields of the [feature schema](../../examples/heart_disease/schema.json), which need only be there where a
feature needs them.

| field | what it says |
| --- | --- |
| `patient` | `birthDate` (age in completed years on the day of the Bundle's timestamp, else today) or `gender` |
| `codes` | of an Observation, a component, a Condition or a medication: LOINC, SNOMED CT, RxNorm or any other |
| `resource` | `Condition` or `MedicationStatement`, for a boolean; else an Observation is meant |
| `none_means_no` | of these two: a Bundle without one says no. Else the value is missing |
| `path` | FHIRPath to the value, from `Observation.` or `Patient.` on; with `codes`, in Observations that have one |
| `max_age` | such as `P30D` or `PT12H`: an older Observation, or an undated one, counts as missing |
| `molar_mass` | in g/mol: by it, mass and amount of substance are converted |
| `missing` | `refuse` or `impute`, for a value that is missing or too old |

A path has at most {longest} characters and may call {functions}.

### Which of several values is used

Of Observations with the status {final}, the newest by `effective[x]`; all others are left out. A partial date stands
for all that it can mean, in every time zone where it has none: if no value is *certainly* the newest, or one of several
has no time, the record is refused. The newest counts even if it says that there is no value (`dataAbsentReason`): it is
missing then. The age of a value is the greatest that its date allows. A value from the future is refused, and so is a
comparator (`<5`); one about something else than the patient (`focus`) is left out. A partial date of birth is enough
where every day of it gives the same age.

{statuses}
A Condition counts as active with the clinical status `active`, `recurrence` or `relapse`, no abatement, and if it is
`confirmed`. A MedicationStatement that is active, and whose period is over or has not begun, says nothing.

Yes and no may come as `valueBoolean`, or as a code:

{truth}
### Units

A quantity has a UCUM code (`system` and `code`; the text in `unit` is not looked at). A unit that is not the schema's
is converted if it has the same dimension, and refused otherwise. Not converted, since it would not say the same:

- units in brackets, such as `[iU]` or `[CFU]`, into others; plain measures are only {measures};
- equivalents and osmoles (`meq`, `mosm`) into anything else;
- a fraction of one thing into one of another, such as `mmol/mol` into `%`;
- what has an annotation with a number in it, such as `{{1.73_m2}}`, into what has not;
- mass into amount of substance without the schema's `molar_mass`.

## What is written

{written}
- `concordat fhir result REQUEST FILE` writes an opened result as a transaction. `probabilityDecimal` is a
  percentage, as R4 has it. RiskAssessment and Observations are created unless one with their identifier exists, and the
  Provenance has an id of its own: a server that takes the file twice has them once. Provenance holds the signed request
  and the nodes' receipts (JWS) as signatures, and where in which log the decision stands.
- `concordat fhir send REQUEST` sends the same to the [FHIR server](../how-to/connect-an-ehr.md) that the record came
  from.
- `concordat fhir task REQUEST` prints the job, `fhir study DEFINITION` the study, `fhir subject CONSENT` the person's
  part in it; `concordat consent show CONSENT --fhir` the consent.

Answers to what-ifs are not written: no element says that a value is imagined. Persons stand there by pseudonym; the
Patient's own reference only in a result, where the record came from a server.

### The status of a job

{task}
### Names of our own

They are URNs, and nothing can be looked up at them. They do not change.

{systems}
{extensions}
`urn:concordat:file` is the address of a file, in an AuditEvent.

## What is audited

`audit.ndjson` in the home folder (mode 0600) gets an AuditEvent a line, after the profiles of IHE's
[Basic Audit Log Patterns](https://profiles.ihe.net/ITI/BALP/):

- PatientRead when a request was made of a patient's resources;
- AuthZconsent when the coordinator took it, or refused it for the consent's sake;
- PrivacyDisclosure.Source before a result is written as FHIR, sent, or disclosed by `concordat disclose`.

The client only appends; nothing keeps its owner from changing the file. The events have these profiles' elements and
codes, and were not checked by a validator of profiles.
"""
