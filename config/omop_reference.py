"""The reference page about OMOP tables, made from the tables that the code goes by."""

from collections.abc import Callable, Iterable

from concordat.omop import codes, database, reader, statements, values

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], str]


SOURCE = (
    (
        "`url`",
        "`sqlite:///file` (from the folder in which the command runs), `sqlite:////folder/file` or "
        "`postgresql://reader@host/database`. It holds no password. A server on another machine is reached by"
        " TLS, with `sslmode=verify-full` unless the URL says `require` or `verify-ca`",
    ),
    (
        "`password_file`",
        "a file of mode 0600, from the home folder. Without it libpq looks where it always does: "
        "`PGPASSWORD`, `.pgpass`",
    ),
    (
        "`schema`",
        "of the tables; `vocabulary_schema` and `results_schema` where the vocabulary and the table `cohort` "
        "have others",
    ),
    (
        "`zone`",
        "such as `Europe/Zurich`: of times that say none. Without it, such a time may be of any zone when it "
        "is compared with the present",
    ),
    (
        "`drugs`",
        "`drug_exposure` (unless said otherwise) or `drug_era`",
    ),
    (
        "`condition_ends`",
        "what an end in the past says of a condition: `unknown` (unless said otherwise: the value is "
        "missing), `resolved` (no), `visit` (nothing: it is the visit's end)",
    ),
    (
        "`vocabularies`",
        "further code systems, by URI, and the `vocabulary_id` that has them",
    ),
)
"""The fields of a source, and what they say."""

DIFFERENCES = (
    (
        "hierarchy",
        "the codes alone",
        "conditions and drugs below them, too",
        "a Bundle brings no terminology; a warehouse does, and its rows seldom have the code of a class or an"
        " ingredient",
    ),
    (
        "mapped codes",
        "the codes alone",
        "the standard concept: sometimes a wider one than the code",
        "that is what the rows have",
    ),
    (
        "codes that are not found",
        "missing",
        "refused",
        "a vocabulary can be asked whether it knows them",
    ),
    (
        "status of a condition",
        "clinical and verification status",
        "the diagnosis' status, its end as the source says",
        "there is no clinical status",
    ),
    (
        "refuted",
        "no; beside an active one refused",
        "cannot be said",
        "there is no such row",
    ),
    (
        "drafts, errors",
        "left out by status",
        "cannot be said",
        "only what is valid is in the tables",
    ),
    (
        "paths",
        "FHIRPath",
        "refused, or not looked at beside codes",
        "",
    ),
    (
        "components",
        "found in their panels",
        "rows of their own",
        "",
    ),
    (
        "time zones",
        "in every time",
        "of the source, if it is known",
        "",
    ),
    (
        "later values",
        "refused",
        "on an index day: not read",
        "a warehouse knows what came later",
    ),
)
"""From FHIR: what, there, here, and why."""


def page(table: Table) -> str:
    """The page's text; `table` makes a Markdown table of a heading and rows."""
    said = {"yes": "yes", "no": "no"}
    tables = {
        "columns": table(
            ("table", "columns"),
            ((f"`{name}`", ", ".join(f"`{each}`" for each in columns)) for name, columns in database.COLUMNS.items()),
        ),
        "vocabularies": table(
            ("system in the schema", "vocabulary_id"),
            ((f"`{system}`", f"`{name}`") for system, name in codes.VOCABULARIES.items()),
        ),
        "statuses": table(
            ("condition_status_concept_id", "what it says"),
            [
                *((name, said[says]) for name, says in statements.STATUS_SAYS.items()),
                ("none (0 or NULL)", "yes"),
                ("any other", "nothing: the value is missing, even where `none_means_no`"),
            ],
        ),
        "source": table(("field", "what it says"), SOURCE),
        "differences": table(("", "FHIR", "OMOP", "why"), DIFFERENCES),
        "genders": ", ".join(f"{concept} is `{name}`" for concept, name in reader.GENDERS.items()),
        "absent": ", ".join(f"`{code}`" for _, code in sorted(codes.ABSENT)),
        "equals": str(values.EQUALS),
    }
    return _TEXT.format(**tables)


_TEXT = """# OMOP

What is read of tables of the [OMOP Common Data Model 5.4](https://ohdsi.github.io/CommonDataModel/cdm54.html), in
SQLite or PostgreSQL, on the institution's own machines. Generated from `concordat/omop`. How to set it up:
[read-omop-tables.md](../how-to/read-omop-tables.md).

## What is read

{columns}
No other table or column is read, and nothing is written: SQLite is opened with `mode=ro`, PostgreSQL in a transaction
that is `READ ONLY` and `REPEATABLE READ`, so that all of one reading is of one moment. `visit_occurrence` is not
read, nor are the columns that end in `_type_concept_id`: where a row came from makes no difference here. Of
`drug_exposure` and `drug_era` one is read, as the source says.

In SQLite, dates and times are texts (`2026-03-01`, `2026-03-01 08:30:00`). Databases in which tools wrote them as
numbers are refused (`omop-invalid`).

## The source

A client's `omop.json` and a node's `data.json` describe it in the same way. Only `url` must be there.

{source}
## How codes are found

{vocabularies}
A code of the [feature schema](../../examples/heart_disease/schema.json) is looked up in `concept`. If it is no
standard concept, it becomes the one that it maps to (`Maps to`). A row speaks of a feature if its concept is that
one; or if its source concept is the code itself. A code that maps to several concepts, or to one with a value (`Maps
to value`), is found by the source concept alone: what several mean together, none says alone. As many databases do
not fill source concepts in, `none_means_no` does not hold for such a feature, and such an outcome is refused.

Of conditions and drugs, all concepts below are asked for as well (`concept_ancestor`); a class such as one of ATC
finds its drugs so. Of measurements and observations they are not: what lies below a test is another test.

A feature is refused by its name if none of its codes is in the vocabulary (`code-unknown`), if a code belongs to a
domain whose table is not read for it (a Condition's code has to be of the domain Condition), or if only a FHIRPath
finds it: a path means nothing here, and with codes beside it is not looked at. An unknown code would otherwise say
no.

## What a row says

The rules for several values, ages and units are those for [FHIR](fhir.md#which-of-several-values-is-used), in the
same code (`concordat.reading`): the certainly newest value; a tie is refused; a value from the future is refused.

- *When.* `*_datetime` if it is no midnight, which many databases write where they do not know the time; else the day.
  If the two are of different days, either may be right. An hour that comes twice when the clocks go back is either
  one. Of a time in the first or last days of the calendar, such as 9999-12-31 23:59:59, which stands for always, only
  the day counts: a drug that ends then is taken.
- *Numbers.* `value_as_number`. An `operator_concept_id` other than none, 0 and {equals} (`=`) is a comparator, and so
  is a `value_source_value` that begins with one: refused.
- *Units.* The UCUM code of `unit_concept_id`; where there is none (0), `unit_source_value` if it is UCUM. Converted
  as for FHIR.
- *Answers.* `value_as_concept_id`, as a code of a level, or for yes and no, or what such a code maps to.
  `value_as_string` is not understood: refused where a value is looked for.
- *No value.* The answers {absent} (unknown, not applicable), or a text from the source that became no number, say
  that there is none, and count if they are the newest. A row with nothing in it does not count beside others.
- *Qualifiers.* An observation with a `qualifier_concept_id` means something that is not known here: refused.
- *Age and sex.* Year, month and day of birth, as far as they are there; a partial date is enough where every day of
  it gives the same age. `birth_datetime` is not read: many databases fill it up. Of `gender_concept_id`, {genders}.

### Conditions

{statuses}
What counts is the name of the status in the vocabulary `Condition Status`. A condition that begins after the time of
the reading is uncertain. A yes counts more than an uncertain one, and that one more than a no.

### Drugs

From its first to its last day a drug is taken: yes. Afterwards: no. One that has not begun, or without an end, says
nothing.

## At what time

`concordat predict --omop` reads as of now, and all rows. A cohort is read as of each row's `cohort_start_date`, its
index day: rows of that day and of those before it are read, and none of a later one. An age in days is counted to the
index day's end.

## Cohorts

`concordat.omop.cohort` reads the rows of one `cohort_definition_id`. `subject_id` is a person. Of each, the row of the
first index day is read, whatever becomes of it, and no other: a count is one of people. Persons are read in batches
of 500, each with one query a table. The outcome is true if a condition with one of its codes, or below one,
begins after the index day and at most so many days later. It yields values, the outcome and stated groups; no number
of a person.

Left out, and counted by reason: a further row of the same person; who is not in `person`; has no index day; was not
observed on the index day, or not for long enough before it (`observation_period`; periods that follow upon each other
are one); died by then; died, or was lost, before the outcome's time is over, whether or not the outcome came; whose
outcome is only suspected; and whose record is refused, by feature and [reason](reasons.md). Counts below five are not
shown.

## Where this differs from FHIR

{differences}
"""
