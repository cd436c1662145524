"""FHIR R4 at the institution's own client: a patient's resources in, what was predicted and agreed out.

In: `read_bundle` reads a Bundle into a `Reading`, the values of a feature schema and where each came from. Out:
`concordat.fhir.result` (a prediction), `task` (its job), `consent` and `study`, `audit` (what the client read and
disclosed), `capability` (what of FHIR is spoken here). All of it stays on this machine unless its owner carries it on.
`docs/reference/fhir.md` has the tables.
"""

from concordat.fhir.participation import Participant
from concordat.fhir.reader import read_bundle
from concordat.reading import Reading

__all__ = ["Participant", "Reading", "read_bundle"]
