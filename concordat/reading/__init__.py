"""How a record is read, whatever it comes from: a FHIR Bundle (`concordat.fhir`) or OMOP tables (`concordat.omop`).

`record` has what was read, and where from; `newest`, `said` and `values` the rules by which a value is certain; `times`
and `units` what a date and a unit may mean. No rule is written twice: a source only says what it holds.
"""

from concordat.reading.record import Item, Reading

__all__ = ["Item", "Reading"]
