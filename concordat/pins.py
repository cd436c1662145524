"""Whom an institution believes: `pins.json`, one file for its client and its node alike.

Pins are compared with their owners by other means (a telephone call, a signed letter) before they are written. Nothing
that the coordinator says later can add to them; it is believed only as far as it agrees with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.documents import Keyring
from concordat.enrolment import Ed25519Public, Enrolment, verify_enrolment
from concordat.fields import STRICT, Slug, Text, read
from concordat.files import write_private
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring
from concordat.votes import Address, Count, Domain

FILE = "pins.json"


@with_config(STRICT)
class PinsDocument(TypedDict):
    """The file.

    Attributes:
        coordinator_key: signs tickets and the log's checkpoints (Ed25519, base64url).
        log_origin: the name of the log, and of its key in a checkpoint.
        enrolments: the institutions' enrolments (JWS) by their short names.
        chain_id, registry: where votes count; the registry is the contract's address.
    """

    coordinator_key: Ed25519Public
    log_origin: Text
    enrolments: dict[Slug, str]
    chain_id: Count
    registry: Address


@dataclass(frozen=True)
class Pins:
    """The file's content, every enrolment in it verified."""

    document: PinsDocument
    enrolments: Mapping[str, Enrolment]

    @classmethod
    def parse(cls, content: bytes) -> "Pins":
        """Raises Refused: what a malformed document or an enrolment that does not hold is refused for."""
        document = read(canonical.decode(content), PinsDocument)
        enrolments = {slug: verify_enrolment(token) for slug, token in document["enrolments"].items()}
        for slug, enrolment in enrolments.items():
            if enrolment.institution != slug:
                raise Refused(Reason.WRONG_INSTITUTION, detail="A pinned enrolment is another's.", field=slug)
        return cls(document, enrolments)

    @classmethod
    def load(cls, folder: Path) -> "Pins":
        """The pins of the institution with this folder. Raises Refused: HOME_INCOMPLETE, and what `parse` refuses."""
        try:
            return cls.parse((folder / FILE).read_bytes())
        except FileNotFoundError:
            raise Refused(Reason.HOME_INCOMPLETE, detail=f"{folder} has no {FILE}: run `pin`.", field="home") from None

    @classmethod
    def install(cls, folder: Path, content: bytes, *, institution: str, identity: VerifyKey) -> "Pins":
        """Replace the pins. Raises Refused, and changes nothing, unless all of them hold and one is our own."""
        pins = cls.parse(content)
        own = pins.enrolments.get(institution)
        if own is None:
            raise Refused(Reason.FIELD_MISSING, detail="The pins do not name our own institution.", field=institution)
        if own.identity != identity:
            raise Refused(Reason.KEY_UNKNOWN, detail="The pins name another identity key than our own.")
        write_private(folder / FILE, content, replace=True)
        return pins

    def enrolment(self, institution: str) -> Enrolment:
        """A pinned institution's enrolment. Raises Refused(KEY_UNKNOWN)."""
        if institution not in self.enrolments:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"{institution} is not pinned here.", field=institution)
        return self.enrolments[institution]

    @cached_property
    def keyring(self) -> Keyring:
        """Identity keys by institution."""
        return {slug: keyring(enrolment.identity) for slug, enrolment in self.enrolments.items()}

    @cached_property
    def coordinator(self) -> VerifyKey:
        """The key that signs tickets and checkpoints."""
        return VerifyKey.from_b64(self.document["coordinator_key"])

    @property
    def log_origin(self) -> str:
        return self.document["log_origin"]

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Chain addresses by institution."""
        return {slug: enrolment.chain for slug, enrolment in self.enrolments.items()}

    @cached_property
    def domain(self) -> Domain:
        """The one registry contract that votes count for."""
        return Domain(self.document["chain_id"], self.document["registry"])
