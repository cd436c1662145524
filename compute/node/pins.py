"""Whom this node believes: keys that the institution checked with their owners by other means before writing them here.

Nothing that the coordinator sends can add to these. One file serves an institution's client and its node alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from concordat import canonical
from concordat.client import home as client_home
from concordat.documents import Keyring
from concordat.enrolment import Enrolment, verify_enrolment
from concordat.fields import read
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring
from concordat.votes import Domain


@dataclass(frozen=True)
class Pins:
    """The verified content of `pins.json`."""

    document: client_home.Pins
    enrolments: Mapping[str, Enrolment]

    @classmethod
    def parse(cls, content: bytes) -> "Pins":
        """Raises Refused: what a malformed document or an enrolment that does not hold is refused for."""
        document = read(canonical.decode(content), client_home.Pins)
        VerifyKey.from_b64(document["coordinator_key"])
        enrolments = {slug: verify_enrolment(token) for slug, token in document["enrolments"].items()}
        for slug, enrolment in enrolments.items():
            if enrolment.institution != slug:
                raise Refused(Reason.WRONG_INSTITUTION, detail="A pinned enrolment is another's.", field=slug)
        return cls(document, enrolments)

    @cached_property
    def keyring(self) -> Keyring:
        """Identity keys by institution."""
        return {slug: keyring(enrolment.identity) for slug, enrolment in self.enrolments.items()}

    @cached_property
    def coordinator(self) -> Mapping[str, VerifyKey]:
        """The key that signs tickets."""
        return keyring(VerifyKey.from_b64(self.document["coordinator_key"]))

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Chain addresses by institution."""
        return {slug: enrolment.chain for slug, enrolment in self.enrolments.items()}

    @cached_property
    def domain(self) -> Domain:
        """The one registry contract that votes count for."""
        return Domain(self.document["chain_id"], self.document["registry"])
