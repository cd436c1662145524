"""What was read of somebody, from the moment on at which it was: an audit needs it whatever becomes of the request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from concordat.fhir.elements import element, elements, text
from concordat.fhir.reader import READ

FILE = "urn:concordat:file"
"""In place of an address, for what was read from a file or written to one."""


@dataclass
class Heard:
    """The types of resources, or tables, from which something came, and the address of where that was."""

    kinds: set[str] = field(default_factory=set)
    source: str = ""

    def bundle(self, bundle: Mapping[str, Any]) -> None:
        """A Bundle came from a file. What it calls a type that is never read may be anything, and is not kept."""
        found = {text(element(each.get("resource")).get("resourceType")) for each in elements(bundle.get("entry"))}
        self.kinds, self.source = {kind for kind in READ if kind in found}, FILE
