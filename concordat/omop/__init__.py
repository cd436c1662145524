"""Records from tables of the OMOP Common Data Model 5.4, as hospitals' research warehouses hold them.

`database` opens them to be read, and to nothing else; `codes` finds a feature schema's codes in their vocabulary;
`reader` reads one person's or many persons' rows into a `Reading`, by the rules of `concordat.reading`, the same that
hold for a FHIR Bundle; `cohort` is for model audits: values and outcomes of a cohort, and who was left out.
`docs/reference/omop.md` says what is read from where.

https://ohdsi.github.io/CommonDataModel/cdm54.html
"""

from concordat.omop.database import Database, Source
from concordat.omop.reader import Index, Person, Reader

__all__ = ["Database", "Index", "Person", "Reader", "Source"]
