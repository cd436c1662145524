"""The reference page about FHIR, made from the tables that the code goes by."""

from collections.abc import Callable, Iterable

from concordat.fhir import bundle, capability, draft, names, observations, participation, paths, statements, task
from concordat.reading import units, values

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
        "subjects": table(
            ("ResearchSubject.status", "what it says"),
            ((f"`{code}`", _SUBJECT[said]) for code, said in participation.SAYS.items()),
        ),
        "studies": table(
            ("ResearchStudy.status", "a draft is made"),
            ((f"`{code}`", f"no: {why}" if why else "yes") for code, why in draft.STATUSES.items()),
        ),
        "drafted": table(("field", "said by"), ((f"`{field}`", said) for field, said in draft.FIELDS.items())),
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

_SUBJECT = {
    "part": "takes part; within its period",
    "nothing": "nothing: not yet, or perhaps",
    "none": "does not take part: the record is refused",
}

_TEXT = """# FHIR

What the institution's own client reads and writes in FHIR R4 (4.0.1), in JSON. All of it happens on the machine that
holds the record. Generated from `concordat/fhir`; `concordat fhir capability` prints the same as a CapabilityStatement.

## What is read

`concordat predict --fhir FILE` reads a Bundle of one patient, of type {types}. A page of a search that has a next
one is refused: newer values may be on the others. `concordat predict --ehr` fetches all that a schema asks for
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
| `max_age` | such as `P30D` or `PT12H`: an Observation that is older, or undated, is missing; see below |
| `molar_mass` | in g/mol: by it, mass and amount of substance are converted |
| `missing` | `refuse` or `impute`, for a value that is missing or too old |

A path has at most {longest} characters and may call {functions}.

### Which of several values is used

Of Observations with the status {final}, the newest by `effective[x]`; all others are left out. A partial date stands
for all that it can mean, in every time zone where it has none: if no value is *certainly* the newest, or one of several
has no time, the record is refused. The newest counts even if it says that there is no value (`dataAbsentReason`): it is
missing then. The age of a value is the greatest that its date allows, and at the bedside
its `max_age` holds for as long as a result is shown. A value from the future is refused, and so is a
comparator (`<5`); one about something else than the patient (`focus`) is left out. A partial date of birth is enough
where every day of it gives the same age.

{statuses}
A Condition counts as active with the clinical status `active`, `recurrence` or `relapse`, no abatement, and if it is
`confirmed`. A MedicationStatement that is active, and whose period is over or has not begun, says nothing.

Yes and no may come as `valueBoolean`, or as a code:

{truth}
### Whether somebody still takes part

Where the record is asked for in FHIR, its ResearchSubjects are looked at before any value is read, and before anything
is sent: those of this patient, and of the study that the definition names. The study is told by our own identifier of
it (system `urn:concordat:study`), on the reference itself or on the ResearchStudy that it means, in the Bundle or
contained. The patient is told as everywhere, or by the pseudonym under which the request is made.

{subjects}
- The record of who does not take part is refused (`not-in-study`). Where a status says that they do, a period that has
  certainly ended says that they do not any more, and one that may not have begun, nothing.
- Of several, one that takes part counts only if it began certainly after every other had ended. If one has ended
  certainly after that, the record is refused as `not-in-study`, else as a contradiction.
- Where there is none, nothing is said. It never takes the place of a consent.
- One whose study cannot be told, since its ResearchStudy is not there, refuses the record if it ends somebody's part,
  and is left out else. One of another study is left out, and so is one by another's identifier alone, such as a
  registry's.
- One of the study about another patient, one with a modifier, and a status that R4 does not know refuse the record.
- R4 has no status for one that was entered in error. Delete it, or correct it at its source; a modifier that says so is
  refused like any other.

A record from OMOP tables, a table or a JSON object says nothing of it, and a result that is there already is not taken
back by it: [withdraw the consent](../how-to/withdraw-consent.md), or retract the result at the bedside.

### The draft of a protocol

`concordat study draft FILE --fhir RESEARCH-STUDY` writes the draft of a protocol from a ResearchStudy, or from a Bundle
with exactly one, and lists by name what is left to fill in and why. Nothing is guessed: what is not certain, or has not
the form of its field, is left out, so that a draft which nobody completed is refused by `concordat study submit`.

{drafted}
All other fields have no element in R4, and stay to be filled in: among them who may take part (`population`), the risks
and the legal grounds. `principalInvestigator` is not taken over, as the protocol has no field for it; what else was not
used is listed by its element's name. A modifier refuses the resource.

{studies}
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
- `concordat fhir retract REQUEST` [takes that back](../how-to/connect-an-ehr.md): RiskAssessment and Observations, as
  the server has them, get the status `entered-in-error` and a note; a Provenance of its own, whose activity is
  `NULLIFY`, says who took them back and why. It holds the institution's signed statement (JWS of the type
  `concordat.retraction+jws`): request, person, reason, time, server, and the versions that it found. Nothing is
  deleted, and decimals keep their digits. `concordat fhir written` lists what was sent.
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
`urn:concordat:file` is the address of a file, in an AuditEvent, and `urn:concordat:omop:NAME` that of a source of OMOP
tables.

## What is audited

`audit.ndjson` in the home folder (mode 0600) gets an AuditEvent a line, after the profiles of IHE's
[Basic Audit Log Patterns](https://profiles.ihe.net/ITI/BALP/):

- PatientRead when a request was made of a patient's resources, at the bedside when they were read, and once more for a
  what-if about them; also when what was read came to no request, because something is missing, too old or otherwise
  refused: then it names no request, and all types of resources that the server answered with or that stood in the file,
  or all tables that had rows of the person;
- AuthZconsent when the coordinator took it, or refused it for the consent's sake;
- PrivacyDisclosure.Source before a result is written as FHIR, sent, or disclosed by `concordat disclose`;
- PatientRead when what was sent of a result is looked for at the server, to take it back, and PatientUpdate after it
  was.

What the bedside's worker asks a server again is not among them: nobody asked for it, and the server's own audit has it.

The client only appends; nothing keeps its owner from changing the file.

Tests hold events of each kind against R4's own JSON schema, and every event that those of client and bedside have them
write against a table of what these four profiles ask for (version 1.1.4, `tests/support/balp.py`): cardinalities, fixed
codes, value sets, the slices of `agent`, `entity` and `subtype`, and the invariant that who authorises or discloses is
who records. The table was written by hand from the profiles' sources, and has nothing against IHE's own examples of the
first three. Not checked is what the profiles only say in prose, such as that a network is what the connection had, and
what they want supported without requiring it. No validator of profiles was run on the events, and none of IHE's own
tests. PatientRead is about one read by REST: an event of ours stands for all reads of a record, and names the types of
what was used; PatientUpdate likewise, for all that one transaction changes. AuthZconsent is about an authorisation
server: here the coordinator decides, and `outcomeDesc` says so.
"""
